"""Cleaning of text from web pages and exports: markup, control characters and whitespace."""

import html.parser
import unicodedata

# Elements whose content is not text.
_NO_TEXT = ("script", "style")
# Inline elements, which do not end a word: "<b>un</b>known".
_INLINE = frozenset("a abbr b bdi bdo cite code del dfn em font i ins kbd mark q s small span strong sub sup u".split())


def clean_text(text):
    """Returns a text without HTML tags, comments, entities and control characters, and with single spaces.

    Tags are as defined by the HTML standard: "a < b" and "<3" are kept. Emoji, accents, Chinese characters and the
    zero-width joiners of emoji are unchanged.

    Args:
        text: str.
    """
    if "<" in text or "&" in text:
        parser = _Text()
        parser.feed(text)
        parser.close()
        text = "".join(parser.parts)
    kept = (" " if character.isspace() else character for character in text if _is_text(character))
    return " ".join("".join(kept).split())


def _is_text(character):
    return character.isspace() or unicodedata.category(character) != "Cc"


class _Text(html.parser.HTMLParser):
    """Collects the text between tags; entities are decoded by the base class."""

    def __init__(self):
        super().__init__()
        self.parts, self._inside = [], 0

    def handle_starttag(self, tag, attrs):
        self._inside += tag in _NO_TEXT
        self._separate(tag)

    def handle_endtag(self, tag):
        self._inside -= tag in _NO_TEXT and self._inside > 0
        self._separate(tag)

    def handle_data(self, data):
        if not self._inside:
            self.parts.append(data)

    def parse_marked_section(self, i, report=1):
        """Skips "<![…", which HTML does not have, up to the next ">", but keeps the text of "<![CDATA[…]]>"."""
        end = self.rawdata.find("]]>" if self.rawdata.startswith("<![CDATA[", i) else ">", i)
        if end < 0:
            return -1
        if self.rawdata.startswith("<![CDATA[", i):
            self.handle_data(self.rawdata[i + len("<![CDATA[") : end])
            return end + len("]]>")
        return end + 1

    def _separate(self, tag):
        if tag not in _INLINE:
            self.parts.append(" ")
