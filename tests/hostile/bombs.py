"""Mails made to hurt whoever reads them. Each is small enough to be taken; what it unfolds to is not."""

from __future__ import annotations

import base64
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from email.message import EmailMessage
from typing import NamedTuple

WORDS = "石桥县河湾村一处民房倒塌，两人被压，消防已到场。"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MEGA = 1024 * 1024


class Bomb(NamedTuple):
    """A mail, and whether it goes to the address for reports or to that for faxes."""

    mail: bytes
    to: str = "report@gateway.test"


def _plain(head: bytes, body: bytes = b"x\r\n") -> bytes:
    return head + b"\r\n" + body


def _file(data: bytes, kind: str, name: str, text: str = "见附件") -> bytes:
    made = EmailMessage()
    made["Subject"], made["From"] = "紧急信息", "a@b.test"
    made.set_content(text)
    main, _slash, sub = kind.partition("/")
    made.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return made.as_bytes().replace(b"\n", b"\r\n")


def _zip(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


# MIME.


def parts() -> bytes:
    return _plain(b"Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\nx\r\n" * 200_000 + b"--b--\r\n")


def parts_empty() -> bytes:
    return _plain(b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n" * 1_000_000)


def depth() -> bytes:
    nest = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(30_000))
    return b"Subject: deep\r\n" + nest + b"\r\n" + WORDS.encode() + b"\r\n"


def mails_in_mails() -> bytes:
    return b"Subject: deep\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 50_000 + b"\r\n" + WORDS.encode() + b"\r\n"


def encoded_mails() -> bytes:
    mail = WORDS.encode()
    for _ in range(12):
        mail = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(mail).replace(b"\n", b"\r\n")
    return mail


def headers() -> bytes:
    return _plain(b"".join(b"X-%d: a\r\n" % n for n in range(300_000)))


def folds() -> bytes:
    return _plain(b"Subject: a" + b"\r\n b" * 1_000_000 + b"\r\n")


def long_line() -> bytes:
    return _plain(b"Subject: " + b"a" * (10 * MEGA) + b"\r\n")


def semicolons() -> bytes:
    return _plain(b"Content-Type: text/plain" + b"; " * 2_000_000 + b"\r\n")


def parameters() -> bytes:
    return _plain(b"Content-Type: text/plain" + b"".join(b";\r\n a*%d*=x%%20" % n for n in range(200_000)) + b"\r\n")


def quotes() -> bytes:
    return _plain(b'Content-Type: multipart/mixed; boundary="' + b'\\"' * 2_000_000 + b"\r\n")


def addresses() -> bytes:
    return _plain(b"From: " + b"a@b.test,\r\n " * 200_000 + b"\r\nTo: " + b"(" * 500_000 + b"\r\nReply-To: " + b"<" * 500_000 + b"\r\n")


def encoded_words() -> bytes:
    return _plain(b"Subject: " + b"=?gbk?Q?=B0?= \r\n " * 200_000 + b"\r\nX: " + b"=?" * 200_000 + b"\r\n")


def references() -> bytes:
    return _plain(b"References: " + b"<a@b>\r\n " * 300_000 + b"\r\nIn-Reply-To: " + b"<" * 300_000 + b"\r\n")


def dates() -> bytes:
    return _plain(b"Date: " + b"Mon, 1 Jan 999999999999999999999999 00:00:00 +99999999999" * 3000 + b"\r\n")


def boundaries() -> bytes:
    """A boundary that nearly matches everywhere."""
    near = b"-" * 69
    return _plain(b'Content-Type: multipart/mixed; boundary="' + near + b'b"\r\n', (b"--" + near + b"a\r\n") * 100_000)


# Encodings and charsets.


def base64_odd() -> bytes:
    return _plain(b"Content-Transfer-Encoding: base64\r\n", b"QQ==" * 3_000_000 + b"=" * 1_000_000 + b"\r\n")


def quoted_odd() -> bytes:
    return _plain(b"Content-Transfer-Encoding: quoted-printable\r\n", b"=\r\n=ZZ=" * 1_000_000)


def uuencoded() -> bytes:
    return _plain(b"Content-Transfer-Encoding: x-uuencode\r\n", b"begin 644 x\r\n" + b"#0V%T\r\n" * 1_000_000)


def charset_lies() -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n"
    labels = (b"utf-7", b"utf-16", b"hz-gb-2312", b"iso-2022-jp", b"punycode", b"idna", b"unicode_escape", b"zlib_codec", b"rot13")
    octets = random.Random(1).randbytes(200_000).replace(b"\r", b"").replace(b"\n", b"")
    inner = b"".join(b"--b\r\nContent-Type: text/plain; charset=" + label + b"\r\n\r\n+" + octets + b"\r\n" for label in labels)
    return _plain(head, inner + b"--b--\r\n")


def utf7() -> bytes:
    return _plain(b"Content-Type: text/plain; charset=utf-7\r\n", b"+AGEA" * 3_000_000 + b"\r\n")


# Text.


def html_nested() -> bytes:
    return _plain(b"Content-Type: text/html\r\n", b"<div>" * 2_000_000)


def html_open() -> bytes:
    return _plain(b"Content-Type: text/html\r\n", b"<div><!--<a b='" * 1_000_000)


def html_entities() -> bytes:
    return _plain(b"Content-Type: text/html\r\n", b"&#1114112;&amp;&CounterClockwiseContourIntegral;<td hidden style=\"x" * 300_000)


def html_hidden() -> bytes:
    """Ends without beginnings, beginnings without ends, all of them hidden."""
    return _plain(b"Content-Type: text/html\r\n", b'<p style="display:none"></b><b hidden></i>' * 400_000)


def quoting() -> bytes:
    return _plain(b"Content-Type: text/plain; charset=utf-8\r\n", "在 2026-03-05 10:00\r\n发件人：\r\n> > > a\r\n-----原始邮件\r\n".encode() * 250_000)


def figures() -> bytes:
    """Everything in it is a figure, a time or a place."""
    return _plain(b"Content-Type: text/plain; charset=utf-8\r\n", "石桥县3月5日22时30分死亡2人、受伤3人、直接经济损失1.2万元，".encode() * 200_000)


def markings() -> bytes:
    """Nearly a marking, everywhere, in body and files."""
    text = "机 密绝密秘·密".encode() * 250_000
    head = b"Content-Type: multipart/mixed; boundary=b\r\n"
    one = b"--b\r\nContent-Type: text/plain; charset=utf-8; name=a.txt\r\n\r\n" + text + b"\r\n"
    return _plain(head, one * 4 + b"--b--\r\n")


def texts() -> bytes:
    """Twenty files of text, a megabyte each."""
    text = ("河湾村民房倒塌，两人被压。密" * 26_000).encode()
    one = b"--b\r\nContent-Type: text/plain; charset=utf-8; name=a.txt\r\n\r\n" + text + b"\r\n"
    return _plain(b"Content-Type: multipart/mixed; boundary=b\r\n", one * 20 + b"--b--\r\n")


def large() -> bytes:
    """As large as may be: 24 MiB of a file."""
    return _file(random.Random(2).randbytes(17 * MEGA), "application/octet-stream", "video.mp4")


# Documents.


def docx_ratio() -> bytes:
    xml = b'<w:document xmlns:w="' + WORD.encode() + b'"><w:body>' + b"<w:p/>" * 100_000
    return _file(_zip(**{"word/document.xml": xml + b" " * (60 * MEGA)}), "application/octet-stream", "报告.docx")


def docx_deep() -> bytes:
    xml = b'<w:document xmlns:w="' + WORD.encode() + b'">' + b"<w:p>" * 1_000_000
    return _file(_zip(**{"word/document.xml": xml}), "application/octet-stream", "报告.docx")


def docx_entities() -> bytes:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    xml = f'<!DOCTYPE w [<!ENTITY l0 "lol">{levels}]><w:document xmlns:w="{WORD}"><w:t>&l9;</w:t></w:document>'
    return _file(_zip(**{"word/document.xml": xml.encode()}), "application/octet-stream", "报告.docx")


def docx_parts() -> bytes:
    files = {f"word/header{n}.xml": b"<a" + b" " * MEGA + b"/>" for n in range(150)}
    return _file(_zip(**{"word/document.xml": b"<a/>"}, **files), "application/octet-stream", "报告.docx")


def docx_attributes() -> bytes:
    many = b"".join(b' a%d="1"' % n for n in range(200_000))
    return _file(_zip(**{"word/document.xml": b"<a" + many + b"/>"}), "application/octet-stream", "报告.docx")


def xlsx_ratio() -> bytes:
    return _file(_zip(**{"xl/worksheets/sheet1.xml": bytes(60 * MEGA)}), "application/octet-stream", "统计.xlsx")


def zip_nested() -> bytes:
    data = bytes(50 * MEGA)
    for level in range(6):
        data = _zip(**{f"{level}-{n}.zip": data for n in range(10)}) if level else _zip(data=data)
    return _file(data, "application/zip", "全部.zip")


def zip_lies() -> bytes:
    """A directory that says there are 65,535 entries and names none."""
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65_535, 65_535, 0xFFFFFFF0, 0, 0)
    return _file(b"PK\x03\x04" + bytes(5 * MEGA) + end, "application/octet-stream", "报告.docx")


def _pdf(objects: list[bytes], size: int | None = None) -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + one + b"\nendobj\n"
    at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size or len(objects) + 1, at)
    return bytes(out)


CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"


def pdf_stream() -> bytes:
    """A page whose content unfolds 1000:1, twice."""
    once = zlib.compress(b"BT /F 9 Tf (x) Tj ET " * (10 * MEGA), 9)
    twice = zlib.compress(once, 9)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R>>"
    stream = b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n" % len(twice) + twice + b"\nendstream"
    return _file(_pdf([CATALOGUE, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream]), "application/pdf", "报告.pdf")


def pdf_object_stream() -> bytes:
    """Objects in a stream that says it holds a hundred million."""
    packed = zlib.compress(b"1 0 2 9 " + b" " * (100 * MEGA), 9)
    inner = b"<</Type/ObjStm/N 100000000/First 100000000/Length %d/Filter/FlateDecode>>stream\n" % len(packed) + packed + b"\nendstream"
    return _file(_pdf([CATALOGUE, b"<</Type/Pages/Kids[5 0 R]/Count 1>>", inner]), "application/pdf", "报告.pdf")


def pdf_deep() -> bytes:
    kids = [b"<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>" % (n + 3, n + 1) for n in range(50_000)]
    return _file(_pdf([CATALOGUE, *kids]), "application/pdf", "报告.pdf")


def pdf_circle() -> bytes:
    return _file(_pdf([CATALOGUE, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2147483647/Parent 2 0 R>>"]), "application/pdf", "报告.pdf")


def pdf_xref_loop() -> bytes:
    body = _pdf([CATALOGUE, b"<</Type/Pages/Kids[]/Count 0>>"])
    at = body.index(b"xref\n0")
    return _file(body.replace(b"/Root 1 0 R>>", b"/Root 1 0 R/Prev %d>>" % at), "application/pdf", "报告.pdf")


def pdf_arrays() -> bytes:
    return _file(_pdf([CATALOGUE, b"[" * 2_000_000]), "application/pdf", "报告.pdf")


def pdf_pages() -> bytes:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 1000000 1000000]>>"
    kids = b" ".join(b"3 0 R" for _ in range(100_000))
    return _file(_pdf([CATALOGUE, b"<</Type/Pages/Kids[" + kids + b"]/Count 100000>>", page]), "application/pdf", "报告.pdf")


# Faxes.


def _tiff(directories: list[list[tuple[int, int, int, int]]], nexts: list[int] | None = None, tail: bytes = b"") -> bytes:
    """Directories of entries (tag, type, count, value), one after the other; ``nexts`` gives other ways on."""
    out = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number, entries in enumerate(directories):
        length = 2 + 12 * len(entries) + 4
        follows = len(out) + length if number + 1 < len(directories) else 0
        out += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        out += struct.pack("<I", nexts[number] if nexts else follows)
    return bytes(out) + tail


def _page(width: int, height: int, at: int = 0, octets: int = 0, compression: int = 1) -> list[tuple[int, int, int, int]]:
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 1), (259, 3, 1, compression), (262, 3, 1, 0),
            (273, 4, 1, at), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, octets)]  # fmt: skip


def _fax(data: bytes) -> bytes:
    return _file(data, "image/tiff", "fax.tif", "Sender: 0999-8820003\r\n")


def tiff_huge() -> bytes:
    return _fax(_tiff([_page(2_000_000_000, 2_000_000_000, 8, 10)]))


def tiff_ratio() -> bytes:
    """As many dots as are allowed, of nearly no octets (G4)."""
    return _fax(_tiff([_page(6000, 6600, 8, 100_000, 4)], tail=bytes(100_000)))


def tiff_loop() -> bytes:
    return _fax(_tiff([_page(100, 100, 8, 1250)], nexts=[8]))


def tiff_pages() -> bytes:
    return _fax(_tiff([_page(8, 8, 8, 8)] * 60_000))


def tiff_entries() -> bytes:
    return _fax(_tiff([[(65_000, 1, 0xFFFFFFFF, 8), *_page(100, 100, 8, 1250), (270, 2, 0x7FFFFFFF, 8), (33_432, 5, 0x1FFFFFFF, 8)]]))


def tiff_dots() -> bytes:
    """204 million dots to the inch across, one down: to be made square."""
    dots = struct.pack("<IIII", 204_000_000, 1, 1, 1)
    page = [*_page(1728, 2200, 8, 475_200), (282, 5, 1, 0), (283, 5, 1, 0), (296, 3, 1, 2)]
    at = 8 + 2 + 12 * len(page) + 4
    page[-3], page[-2] = (282, 5, 1, at), (283, 5, 1, at + 8)
    return _fax(_tiff([page], tail=dots + bytes(475_200)))


REPORTS: dict[str, Callable[[], bytes]] = {
    "200,000 parts": parts, "a million delimiters": parts_empty, "nested 30,000 deep": depth, "50,000 mails in mails": mails_in_mails,
    "mails in mails, each encoded": encoded_mails, "300,000 header fields": headers, "a field folded a million times": folds,
    "a field of 10 MiB": long_line, "two million semicolons": semicolons, "200,000 parameters": parameters,
    "quotes without end": quotes, "200,000 addresses": addresses, "200,000 encoded words": encoded_words, "300,000 ids": references,
    "a date out of all bounds": dates, "delimiters that nearly are": boundaries, "padding in base64": base64_odd,
    "quoted-printable without sense": quoted_odd, "uuencode": uuencoded, "charsets that lie": charset_lies, "utf-7": utf7,
    "html nested two million deep": html_nested, "html that never closes": html_open, "html entities": html_entities,
    "hidden html": html_hidden, "quoting in every style": quoting, "nothing but figures": figures, "markings that nearly are": markings,
    "twenty texts of a MiB": texts, "24 MiB": large,
    "docx 1000:1": docx_ratio, "docx nested": docx_deep, "docx with entities": docx_entities, "docx of 150 headers": docx_parts,
    "docx with 200,000 attributes": docx_attributes, "xlsx 1000:1": xlsx_ratio, "zips in zips": zip_nested, "zip whose directory lies": zip_lies,
    "pdf 1000:1, twice": pdf_stream, "pdf of 100 million objects": pdf_object_stream, "pdf of a deep tree": pdf_deep,
    "pdf that is its own page": pdf_circle, "pdf with a loop of xrefs": pdf_xref_loop, "pdf of arrays in arrays": pdf_arrays,
    "pdf of 100,000 pages": pdf_pages,
}  # fmt: skip
FAXES: dict[str, Callable[[], bytes]] = {
    "tiff of 4 trillion dots": tiff_huge, "tiff of nothing but dots": tiff_ratio, "tiff with a loop": tiff_loop, "tiff of 60,000 pages": tiff_pages,
    "tiff whose entries lie": tiff_entries, "tiff to be made square": tiff_dots, "fax: pdf 1000:1, twice": pdf_stream,
    "fax: pdf of 100,000 pages": pdf_pages, "fax: pdf that is its own page": pdf_circle, "fax: pdf of a deep tree": pdf_deep,
}  # fmt: skip


def all_of_them() -> dict[str, Bomb]:
    """Every bomb by what it is."""
    made = {name: Bomb(make()) for name, make in REPORTS.items()}
    return made | {name: Bomb(make(), "fax@gateway.test") for name, make in FAXES.items()}
