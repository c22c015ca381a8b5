"""Documents attached to a mail: what they say is read, what cannot be read is named, and a hostile file costs nothing."""

from __future__ import annotations

import base64
import io
import time
import zipfile

import pytest

from gateway_plugins.mailtext import documents, read_mail

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
REPORT = "3月6日8时20分，石桥县化工园区二号仓库起火，造成2人死亡、3人受伤。"


def docx(body: str, *, raw: bool = False, **parts: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        document = body if raw else f'<?xml version="1.0" encoding="UTF-8"?><w:document {W}><w:body>{body}</w:body></w:document>'
        archive.writestr("word/document.xml", document)
        for name, inner in parts.items():
            archive.writestr(f"word/{name}.xml", f"<w:part {W}>{inner}</w:part>")
    return held.getvalue()


def p(*runs: str) -> str:
    return "<w:p>" + "".join(f"<w:r><w:t>{run}</w:t></w:r>" for run in runs) + "</w:p>"


def pdf(words: str) -> bytes:
    """One page with a text layer, or without where ``words`` is empty."""
    stream = f"BT /F1 12 Tf 50 700 Td ({words}) Tj ET".encode() if words else b"0 0 100 100 re f"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    made, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(made)
    return made + b"xref\n0 5\n0000000000 65535 f \n" + table + end


def mail(data: bytes, disposition: str, kind: str = "application/octet-stream", body: str = "请查收附件。") -> bytes:
    lines = [
        "From: a@b.example", "Subject: report", "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="x"', "",
        "--x", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", body,
        "--x", f"Content-Type: {kind}", f"Content-Disposition: attachment; {disposition}",
        "Content-Transfer-Encoding: base64", "", base64.encodebytes(data).decode(), "--x--", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def test_a_docx_is_read_in_order() -> None:
    box = f"<w:p><w:r><w:pict><w:txbxContent>{p('联系人：周强')}</w:txbxContent></w:pict></w:r></w:p>"
    table = f"<w:tbl><w:tr><w:tc>{p('死亡')}</w:tc><w:tc>{p('2人')}</w:tc></w:tr></w:tbl>"
    text = documents.docx(docx(p("石桥县", "委办") + table + box, header1=p("急件"), footnotes=p("注：截至9时")))
    assert text.split("\n") == ["急件", "石桥县委办", "死亡", "2人", "联系人：周强", "注：截至9时"]


def test_deleted_text_is_no_text() -> None:
    changed = "<w:p><w:del><w:r><w:delText>5人死亡</w:delText></w:r></w:del><w:ins><w:r><w:t>2人死亡</w:t></w:r></w:ins></w:p>"
    assert documents.docx(docx(changed)) == "2人死亡"


def test_a_text_box_is_not_told_twice() -> None:
    both = (
        '<w:p><mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f"<mc:Choice><w:txbxContent>{p('2人死亡')}</w:txbxContent></mc:Choice>"
        f"<mc:Fallback><w:txbxContent>{p('2人死亡')}</w:txbxContent></mc:Fallback></mc:AlternateContent></w:p>"
    )
    assert documents.docx(docx(both)) == "2人死亡"


def bomb() -> bytes:
    return docx(f"<w:p><w:r><w:t>{'0' * (documents.XML_OCTETS + 1)}</w:t></w:r></w:p>")


HOSTILE = {
    "entities": docx(f'<!DOCTYPE d [<!ENTITY a "5人死亡">]><w:document {W}><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:document>', raw=True),
    "external": docx(f'<!DOCTYPE d SYSTEM "file:///etc/passwd"><w:document {W}/>', raw=True),
    "deep": docx("<w:p>" * 5000 + "</w:p>" * 5000),
    "cut": docx(p(REPORT))[:200],
    "not well formed": docx("<w:p>", raw=True),
    "no pdf": b"%PDF-1.4\n garbage",
}  # fmt: skip


@pytest.mark.parametrize("name", [*HOSTILE, "bomb"])
def test_a_hostile_file_is_named_and_left(name: str) -> None:
    data = bomb() if name == "bomb" else HOSTILE[name]
    began = time.monotonic()
    message = read_mail(mail(data, 'filename="report.docx"', DOCX))
    assert message.attachments[0].text is None
    assert message.unread is not None and "attachment not read: 1" in message.unread
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("suffix", ["odt", "rtf", "doc", "wps", "xlsx", "ofd"])
def test_other_kinds_are_named_as_unread(suffix: str) -> None:
    message = read_mail(mail(b"PK\x03\x04 or other octets\x00\x01", f'filename="report.{suffix}"'))
    assert message.attachments[0].name == f"report.{suffix}"
    assert message.unread is not None and "attachment not read: 1" in message.unread


def test_a_pdf_with_letters_is_read_and_a_scan_is_not() -> None:
    pytest.importorskip("pypdfium2")
    assert (
        read_mail(mail(pdf("3 dead 5 injured"), 'filename="r.pdf"', "application/pdf")).attachments[0].text == "3 dead 5 injured"
    )
    scan = read_mail(mail(pdf(""), 'filename="r.pdf"', "application/pdf"))
    assert scan.attachments[0].text is None and scan.unread is not None


@pytest.mark.parametrize(
    "disposition",
    ["filename*=UTF-8''%E6%8A%A5%E5%91%8A.txt", "filename*=GBK''%B1%A8%B8%E6.txt", 'filename="=?GB2312?B?sai45i50eHQ=?="',
     "filename*0*=UTF-8''%E6%8A%A5; filename*1*=%E5%91%8A.txt"],
)  # fmt: skip
@pytest.mark.parametrize("codec", ["gb18030", "utf-8", "utf-8-sig"])
def test_text_files_and_their_names(disposition: str, codec: str) -> None:
    found = read_mail(mail(REPORT.encode(codec), disposition)).attachments[0]
    assert (found.name, (found.text or "").lstrip("\ufeff")) == ("报告.txt", REPORT)
