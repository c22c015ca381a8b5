"""Octets → text when the label is missing or wrong, as it often is in Chinese mail.

What is tried follows the labels seen in practice: GB 18030 is a superset of GBK and GB 2312 and is used for all three; UTF-8
that decodes strictly and gives Chinese is believed against any label; a label that cannot be right is replaced and reported.
"""

from __future__ import annotations

import codecs
import re

from msgspec import Struct

GB = "gb18030"
# Only these are decoded by name: codecs such as punycode or unicode_escape are no charsets of mail, and some are not linear.
_NAMES = {
    "us-ascii": "ascii", "ascii": "ascii", "ansi-x3.4-1968": "ascii", "646": "ascii",
    "utf-8": "utf-8", "utf8": "utf-8", "unicode-1-1-utf-8": "utf-8", "x-utf-8": "utf-8",
    "utf-8-sig": "utf-8", "cp65001": "utf-8",
    "gb2312": GB, "gb-2312": GB, "gb2312-80": GB, "gb-2312-80": GB, "csgb2312": GB, "gbk": GB, "x-gbk": GB, "gb18030": GB,
    "gb18030-2000": GB, "gb-18030": GB, "cp936": GB, "ms936": GB, "windows-936": GB, "euc-cn": GB, "euccn": GB, "chinese": GB,
    "gb": GB, "x-cp20936": GB, "hz-gb-2312": "hz", "hz": "hz",
    "big5": "big5hkscs", "big5-hkscs": "big5hkscs", "x-x-big5": "big5hkscs", "cp950": "cp950", "big-5": "big5hkscs",
    "utf-16": "utf-16", "utf16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "unicode": "utf-16",
    "utf-7": "utf-7",
    "iso-8859-1": "latin-1", "latin1": "latin-1", "l1": "latin-1", "windows-1252": "cp1252", "cp1252": "cp1252",
    "iso-8859-2": "iso8859-2", "iso-8859-15": "iso8859-15", "windows-1251": "cp1251", "koi8-r": "koi8-r",
    "iso-2022-jp": "iso2022_jp", "shift-jis": "cp932", "euc-jp": "euc_jp", "euc-kr": "cp949", "ks-c-5601-1987": "cp949",
}  # fmt: skip
_WESTERN = {"ascii", "latin-1", "cp1252", "iso8859-2", "iso8859-15", "cp1251", "koi8-r"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", GB),
)  # fmt: skip
_SAMPLE = 20_000
_HAN = re.compile("[　-〿㐀-鿿＀-￯‘-”…—·％]")
_SURROGATE = re.compile("[\\ud800-\\udfff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_COMMON = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
    "定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因"
    "由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解"
    "问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少"
    "图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七"
    "海口东导器压志世金增争济阶油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目"
    "至达走积示议声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影算"
    "低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何除消构府称太准精"
    "值号率族维划选标写存候毛亲快效斯院查江型眼王按格养易置派层片始却专状育厂京识适属圆包火住调满县局照参红细引听该"
    "铁价严伤死亡镇乡村街煤爆炸燃灾险救援警"
)


class Decoded(Struct, frozen=True):
    """Text, and whether the label was wrong, missing or some octets unreadable."""

    text: str
    repaired: bool = False


def decode(data: bytes, label: str | None) -> Decoded:
    """``data`` as text; never an exception. NULs are dropped; a lone surrogate cannot come out."""
    for bom, codec in _BOMS:
        if data.startswith(bom):
            return _done(data[len(bom) :].decode(codec, "replace"), False)
    named = codec_of(label)
    if data.isascii() and named not in ("utf-7", "hz", "iso2022_jp", "utf-16", "utf-16-le", "utf-16-be"):
        return _done(data.decode("ascii"), False)
    if named is not None and (wide := _wide(data, named)) is not None:
        return wide
    if named is None and (guess := _unlabelled_wide(data)) is not None:
        return guess
    utf8 = _strict(data, "utf-8")
    if utf8 is not None and (named in (None, "utf-8") or _chinese(utf8)):
        return _done(utf8, named != "utf-8")
    if named is not None and named not in _WESTERN:
        text = _strict(data, named)
        if text is not None:
            return _done(text, named == GB and _beyond(data, label))
    return _guess(data, named)


def codec_of(label: str | None) -> str | None:
    """Python's codec for a charset label of mail; None for a label that is unknown or missing."""
    if not label:
        return None
    return _NAMES.get(re.sub(r"[\s_]+", "-", label.strip(" \t\"'").lower())[:40])


def _guess(data: bytes, named: str | None) -> Decoded:
    """The label cannot be right, or there is none: what reads most like Chinese."""
    if named in _WESTERN:
        gb = _strict(data, GB)
        if gb is not None and (_strict(data, "gb2312") is not None or _common_share(gb) >= 0.3):
            return _done(gb, True)
        text = _strict(data, named)
        if text is not None:
            return _done(text, False)
    order = ["utf-8", GB] if named == "utf-8" else [GB, "utf-8"]
    if named is not None and named not in order:
        order.insert(0, named)
    texts = [data.decode(codec, "replace") for codec in order]
    return _done(max(texts, key=_common_share), True)


def _common_share(text: str) -> float:
    """The share of common Chinese characters in what is not ASCII: near 0 where the wrong charset was taken."""
    odd = _NOT_ASCII.findall(text[:_SAMPLE])
    return sum(1 for c in odd if c in _COMMON or c in "，。：；（）、“”") / len(odd) if odd else 0.0


def _wide(data: bytes, named: str) -> Decoded | None:
    """UTF-16 by its label; without a byte order mark the order that gives more common characters."""
    if named not in ("utf-16", "utf-16-le", "utf-16-be"):
        return None
    if named == "utf-16":
        order = max(("utf-16-be", "utf-16-le"), key=lambda codec: _familiar(data[:_SAMPLE].decode(codec, "replace")))
        return _done(data.decode(order, "replace"), False)
    text = _strict(data, named)
    return _done(text, False) if text is not None else _done(data.decode(named, "replace"), True)


def _unlabelled_wide(data: bytes) -> Decoded | None:
    """UTF-16 shows itself by NULs (of its ASCII digits and line ends) in every other octet."""
    if len(data) < 4 or len(data) % 2 or b"\0" not in data[:_SAMPLE]:
        return None
    best = max(("utf-16-be", "utf-16-le"), key=lambda codec: _familiar(data[:_SAMPLE].decode(codec, "replace")))
    text = _strict(data, best)
    if text is None or _familiar(text[:_SAMPLE]) < 0.5:
        return None
    return _done(text, True)


def _familiar(text: str) -> float:
    """The share of characters that one meets in Chinese reports."""
    if not text:
        return 0.0
    good = sum(1 for c in text if c in _COMMON or " " <= c <= "~" or c in "\r\n，。：；（）、“”")
    return good / len(text)


def _chinese(text: str) -> bool:
    """Whether what is not ASCII in ``text`` is nearly all Chinese script or punctuation."""
    odd = _NOT_ASCII.findall(text[:_SAMPLE])
    return bool(odd) and len(_HAN.findall(text[:_SAMPLE])) >= 0.8 * len(odd)


def _beyond(data: bytes, label: str | None) -> bool:
    """Whether a text labelled GB 2312 holds what only its supersets know."""
    return codec_of(label) == GB and "2312" in (label or "") and _strict(data, "gb2312") is None


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeError:
        return None


def _done(text: str, repaired: bool) -> Decoded:
    clean = text.replace("\0", "")
    if _SURROGATE.search(clean):
        clean = clean.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return Decoded(clean, repaired or "�" in clean)
