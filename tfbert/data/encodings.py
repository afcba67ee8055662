"""Which encoding a text file is in, as its first bytes tell."""

import codecs
import re

# The longest first: UTF-32's begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_HIGH = re.compile(rb"[\x80-\xff]+")
# The characters of UTF-8 that have two to four bytes.
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# GB2312, of which nearly all Chinese text consists: punctuation and full-width letters, and the 3,755 common
# characters in the order of their sound.
_COMMON_CHINESE = re.compile(rb"[\xa1\xa3\xb0-\xd7][\xa1-\xfe]")
_CHINESE_PIECE = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]|[\x81-\xfe][\x40-\x7e\x80-\xfe]|[\x80-\xff]")
# Korean's syllables are where the first half of these characters is.
_BEYOND_KOREAN = re.compile(rb"[\xc9-\xd7]")
# The letters of Western Europe's languages and the marks of its typography: what is none of these is rather a letter
# of Polish, Czech or Turkish, which have the same bytes.
_WESTERN = frozenset(
    "ÄÖÜäöüßÀÂÇÈÉÊËÎÏÔÙÛàâçèéêëîïôùûÿŸœŒæÆñÑáíóúÁÍÓÚ¿¡ãõÃÕåÅøØìòÌÒ€£§°©®·×½²–—‘’‚“”„…«»‹›•´\xa0".encode("cp1252")
)
# The share of what is not ASCII that must speak for an encoding.
_SURE = 0.9


def byte_order_mark(start):
    """Returns (encoding, bytes of the mark) of a file that begins with a byte order mark, (None, 0) of another.

    Args:
        start: bytes. The first four.
    """
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding, len(mark)
    return None, 0


def guess_encoding(sample, whole=True):
    """Returns the encoding of text without a byte order mark: "utf-8", "utf-16-le", "utf-16-be", "cp1252" or "gb18030".

    None if it cannot be told. UTF-8 proves itself, and so does damaged UTF-8, which is called UTF-8 all the same, so
    that its damaged line is found. Of others only what is most widespread is looked for, Western European and Chinese,
    and only where nearly all of the text is as it is there: a letter outside ASCII stands alone between others in
    Western languages, and in GB18030 comes as a pair of bytes of common characters. General detectors were tried; of
    short rows they make Polish, Korean or Big5.

    Args:
        sample: bytes. The beginning of the file, or what follows its first rows.
        whole: bool. Whether the file ends with it; else its last character may be cut.
    """
    if wide := _utf16(sample):
        return wide
    if _decodes(sample, "utf-8", whole):
        return "utf-8"
    high = b"".join(_HIGH.findall(sample))
    in_pieces = sum(map(len, _UTF8.findall(sample)))
    if in_pieces > len(high) / 2:
        return "utf-8"
    alone = b"".join(run for run in _HIGH.findall(sample) if len(run) < 3)
    western = len(alone) / len(high) >= _SURE and sum(byte in _WESTERN for byte in high) / len(high) >= _SURE
    chinese = _is_chinese(sample, whole)
    western = western and _decodes(sample, "cp1252", whole)
    return {(True, False): "cp1252", (False, True): "gb18030"}.get((western, chinese))


def _utf16(sample):
    """Returns which UTF-16 the text of a header line is in, whose characters are ASCII; None if it is in none."""
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = sample[first:16:2], sample[1 - first : 16 : 2]
        if len(zeros) > 1 and not any(zeros) and all(others):
            return encoding
    return None


def _is_chinese(sample, whole):
    if not _decodes(sample, "gb18030", whole):
        return False
    pieces = [piece for piece in _CHINESE_PIECE.findall(sample) if len(piece) > 1]
    common = [piece for piece in pieces if _COMMON_CHINESE.fullmatch(piece)]
    characters = [piece for piece in common if piece[0] >= 0xB0]
    beyond = sum(_BEYOND_KOREAN.match(piece) is not None for piece in characters)
    return len(common) >= _SURE * len(pieces) and beyond >= len(characters) / 10 and bool(characters)


def _decodes(sample, encoding, whole):
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample, whole)
        return True
    except UnicodeDecodeError:
        return False
