"""Detection of a text file's encoding from its first bytes."""

import codecs
import re

# The longest first: UTF-32's mark begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_HIGH = re.compile(rb"[\x80-\xff]+")
# UTF-8 characters of two to four bytes.
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# The part of GB2312 that makes up nearly all Chinese text: punctuation, full-width letters, and the 3,755 common
# characters, which are ordered by pronunciation.
_COMMON_CHINESE = re.compile(rb"[\xa1\xa3\xb0-\xd7][\xa1-\xfe]")
_GB18030 = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]|[\x81-\xfe][\x40-\x7e\x80-\xfe]|[\x80-\xff]")
# Korean syllables (EUC-KR) have the codes of the first half of these characters.
_BEYOND_KOREAN = re.compile(rb"[\xc9-\xd7]")
# Letters and punctuation of Western European languages. Other characters of cp1252 are more likely letters of Polish,
# Czech or Turkish, whose encodings use the same bytes.
_WESTERN = frozenset(
    "ÄÖÜäöüßÀÂÇÈÉÊËÎÏÔÙÛàâçèéêëîïôùûÿŸœŒæÆñÑáíóúÁÍÓÚ¿¡ãõÃÕåÅøØìòÌÒ€£§°©®·×½²–—‘’‚“”„…«»‹›•´\xa0".encode("cp1252")
)
# The share of the non-ASCII bytes or characters that must fit an encoding.
_SURE = 0.9


def byte_order_mark(start):
    """Returns (encoding, length of the mark) of a file that begins with a byte order mark, else (None, 0).

    Args:
        start: bytes. The first four.
    """
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding, len(mark)
    return None, 0


def guess_encoding(sample, whole=True):
    """Returns the encoding of text without a byte order mark: "utf-8", "utf-16-le", "utf-16-be", "cp1252" or "gb18030".

    None if it is unclear. UTF-8 is recognisable; damaged UTF-8 is reported as UTF-8 too, so that the damaged line is
    found. Otherwise only the most widespread encodings are considered, Western European and Chinese, and only if nearly
    all of the text fits: in Western languages, a non-ASCII letter stands alone between ASCII letters; in GB18030, it is
    a byte pair of a common character. General detectors were tried; they take short rows for Polish, Korean or Big5.

    Args:
        sample: bytes. The beginning of the file, or its first block that is not ASCII.
        whole: bool. Whether the file ends with it; otherwise its last character may be incomplete.
    """
    if wide := _utf16(sample):
        return wide
    if _decodes(sample, "utf-8", whole):
        return "utf-8"
    high = b"".join(_HIGH.findall(sample))
    in_utf8 = sum(map(len, _UTF8.findall(sample)))
    if in_utf8 > len(high) / 2:
        return "utf-8"
    alone = b"".join(run for run in _HIGH.findall(sample) if len(run) < 3)
    western = len(alone) / len(high) >= _SURE and sum(byte in _WESTERN for byte in high) / len(high) >= _SURE
    chinese = _is_chinese(sample, whole)
    western = western and _decodes(sample, "cp1252", whole)
    return {(True, False): "cp1252", (False, True): "gb18030"}.get((western, chinese))


def _utf16(sample):
    """Returns which UTF-16 a text is in that begins with ASCII, as header lines do; None if it is not UTF-16."""
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = sample[first:16:2], sample[1 - first : 16 : 2]
        if len(zeros) > 1 and not any(zeros) and all(others):
            return encoding
    return None


def _is_chinese(sample, whole):
    if not _decodes(sample, "gb18030", whole):
        return False
    wide = [code for code in _GB18030.findall(sample) if len(code) > 1]
    common = [code for code in wide if _COMMON_CHINESE.fullmatch(code)]
    characters = [code for code in common if code[0] >= 0xB0]
    beyond = sum(_BEYOND_KOREAN.match(code) is not None for code in characters)
    return len(common) >= _SURE * len(wide) and beyond >= len(characters) / 10 and bool(characters)


def _decodes(sample, encoding, whole):
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample, whole)
        return True
    except UnicodeDecodeError:
        return False
