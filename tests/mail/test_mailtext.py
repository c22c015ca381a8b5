"""MIME → Message: what Chinese clients send, what is broken, and what is meant to break the parser."""

from __future__ import annotations

import base64
import time
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Message
from gateway_plugins.mailtext import Limits, read_mail

TEXT = "云台区建材市场今晨6时许起火，造成3人死亡，原因正在调查。"


def plain(body: bytes, content_type: str = "text/plain", *headers: str) -> bytes:
    lines = [f"Content-Type: {content_type}", "Content-Transfer-Encoding: 8bit", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("codec", "label", "repaired"),
    [
        ("utf-8", "utf-8", False),
        ("gb2312", "gb2312", False),
        ("gbk", "GBK", False),
        ("gb18030", "gb18030", False),
        ("gbk", "x-gbk", False),
        ("gb18030", None, True),
        ("utf-8", None, True),
        ("utf-8", "gb2312", True),
        ("gb18030", "utf-8", True),
        ("gb18030", "iso-8859-1", True),
        ("utf-8", "us-ascii", True),
        ("gbk", "no-such-charset", True),
        ("utf-16", "utf-16", False),
        ("utf-16-be", "utf-16", False),
        ("utf-16-le", None, True),
        ("hz", "hz-gb-2312", False),
    ],
)
def test_charsets_labelled_unlabelled_and_mislabelled(codec: str, label: str | None, repaired: bool) -> None:
    content_type = f'text/plain; charset="{label}"' if label else "text/plain"
    message = read_mail(plain(TEXT.encode(codec), content_type))
    assert message.text == TEXT
    assert ("charset_repaired" in message.flags) is repaired


def test_characters_beyond_gb2312_under_its_label() -> None:
    text = "柳河县堃镇喆庄村发生山体滑坡，两人被困。"
    message = read_mail(plain(text.encode("gb18030"), "text/plain; charset=gb2312"))
    assert message.text == text
    assert "charset_repaired" in message.flags


def test_a_text_cut_in_a_character_loses_no_more_than_that() -> None:
    for codec in ("utf-8", "gb18030"):
        message = read_mail(plain(TEXT[:-1].encode(codec)[:-1], f"text/plain; charset={codec}"))
        assert message.text.startswith(TEXT[:-2])


def test_western_text_stays_western() -> None:
    message = read_mail(plain("été à Genève, déjà".encode("latin-1"), "text/plain; charset=iso-8859-1"))
    assert message.text == "été à Genève, déjà"


@pytest.mark.parametrize(
    "subject",
    [
        "关于云台区火灾的报告".encode("gbk"),
        "关于云台区火灾的报告".encode(),
        Header("关于云台区火灾的报告", "gb2312").encode().encode(),
        b"=?utf-8?B?" + base64.b64encode("关于云台区火灾的报告".encode()) + b"?=",
        # cut within a character, as several clients do
        b"=?utf-8?B?" + base64.b64encode("关于云台区火灾的报告".encode()[:10]) + b"?=\r\n =?utf-8?B?"
        + base64.b64encode("关于云台区火灾的报告".encode()[10:]) + b"?=",
        b"=?gb2312?Q?=B9=D8=D3=DA?=\r\n =?gb2312?B?" + base64.b64encode("云台区火灾的报告".encode("gbk")) + b"?=",
    ],
)  # fmt: skip
def test_subjects(subject: bytes) -> None:
    assert read_mail(b"Subject: " + subject + b"\r\n\r\nx").subject == "关于云台区火灾的报告"


@pytest.mark.parametrize(
    "parameter",
    [
        b'filename="' + "情况报告.txt".encode("gbk") + b'"',
        b'filename="' + "情况报告.txt".encode() + b'"',
        b"filename*=utf-8''%E6%83%85%E5%86%B5%E6%8A%A5%E5%91%8A.txt",
        b"filename*0*=gbk''%C7%E9%BF%F6; filename*1*=%B1%A8%B8%E6; filename*2=.txt",
        b'filename="=?gb18030?B?' + base64.b64encode("情况报告.txt".encode("gbk")) + b'?="',
        b'filename="C:\\\\secret\\\\' + "情况报告.txt".encode("gbk") + b'"',
    ],
)
def test_file_names(parameter: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbody\r\n--b\r\nContent-Type: text/plain\r\n"
    message = read_mail(head + b"Content-Disposition: attachment; " + parameter + b"\r\n\r\nlisted\r\n--b--\r\n")
    assert [(a.name, a.text) for a in message.attachments] == [("情况报告.txt", "listed")]
    assert message.text == "body"


def alternative(first: str, second: str) -> bytes:
    mail = MIMEMultipart("alternative")
    mail.attach(MIMEText(first, "plain", "utf-8"))
    mail.attach(MIMEText(second, "html", "utf-8"))
    return mail.as_bytes(policy=policy.SMTP)


@pytest.mark.parametrize(
    "placeholder", ["", "您的邮件客户端不支持HTML格式，无法显示", "This is an HTML mail, please see the html part."]
)
def test_html_is_taken_where_plain_text_says_nothing(placeholder: str) -> None:
    message = read_mail(alternative(placeholder, f"<html><body><p>{TEXT}</p></body></html>"))
    assert message.text == TEXT
    assert "html_only" in message.flags


def test_plain_text_is_taken_where_it_is_the_report() -> None:
    assert read_mail(alternative(TEXT, f"<p>{TEXT}</p><p>广告</p>")).text == TEXT


def test_plain_text_that_is_only_a_beginning_gives_way() -> None:
    assert read_mail(alternative("云台区", f"<p>{TEXT}</p><p>{TEXT}</p>")).text == f"{TEXT}\n\n{TEXT}"


def test_what_a_reader_of_html_sees() -> None:
    page = (
        "<html><head><title>标题</title><style>p{color:red}</style></head><body><!-- 5人死亡 --><script>var 死亡=9</script>"
        "<p>白水县\n发生事故&nbsp;</p><div style='display: none'>9人死亡<div>9</div></div><span hidden>8人</span>"
        "<table><tr><td>死亡</td><td>3</td></tr><tr><th>受伤</th><td>12</td></tr></table>A&amp;B<br>3&lt;5"
        "<p style='mso-hide:all'>7<p>末行"
    )
    message = read_mail(plain(page.encode(), "text/html; charset=utf-8"))
    assert [line for line in message.text.split("\n") if line] == ["白水县发生事故", "死亡\t3", "受伤\t12", "A&B", "3<5", "末行"]


def test_html_that_hides_everything_by_never_closing_is_not_believed() -> None:
    message = read_mail(plain(f"<div style='display:none'><p>{TEXT}".encode(), "text/html; charset=utf-8"))
    assert message.text == TEXT


def test_the_charset_of_html_may_stand_in_its_meta() -> None:
    page = f"<meta http-equiv=content-type content='text/html; charset=gbk'><p>{TEXT}".encode("gbk")
    assert read_mail(plain(page, "text/html")).text == TEXT


def test_attachments_that_cannot_be_read_are_kept_and_said() -> None:
    mail = EmailMessage(policy=policy.SMTP)
    mail.set_content(TEXT)
    mail.add_attachment(b"\xd0\xcf\x11\xe0" * 100, maintype="application", subtype="msword", filename="报告.doc")
    mail.add_attachment(b"PK\x03\x04\x14\x00\x01" * 10, maintype="application", subtype="zip", filename="加密.zip")
    mail.add_attachment("附表：死亡3人", filename="附表.txt")
    message = read_mail(mail.as_bytes())
    assert message.text == TEXT
    assert message.unread == "attachment not read: 2"
    assert [(a.name, a.text) for a in message.attachments] == [
        ("报告.doc", None),
        ("加密.zip", None),
        ("附表.txt", "附表：死亡3人\n"),
    ]


def test_a_logo_within_html_and_a_signature_are_nothing_unread() -> None:
    mail = EmailMessage(policy=policy.SMTP)
    mail.set_content(f"<p>{TEXT}<img src='cid:logo'>", subtype="html")
    mail.add_related(b"\x89PNG" * 50, maintype="image", subtype="png", cid="<logo>")
    assert read_mail(mail.as_bytes()).unread is None
    signed = b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nbody\r\n--s\r\n"
    signed += b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--s--"
    assert read_mail(signed).unread is None


def test_a_mail_within_a_mail() -> None:
    inner = EmailMessage(policy=policy.SMTP)
    inner["Subject"] = "原报告"
    inner.set_content(TEXT)
    outer = EmailMessage(policy=policy.SMTP)
    outer["Subject"] = "转发：原报告"
    outer.add_attachment(inner)
    message = read_mail(outer.as_bytes())
    assert message.text == TEXT
    assert message.subject == "转发：原报告"
    assert "forwarded" in message.flags
    assert message.attachments[0].content_type == "message/rfc822"
    assert TEXT in (message.attachments[0].text or "")


def test_ids_date_and_answers() -> None:
    head = (
        b"Message-ID:\r\n <a.1@example.test>\r\nIn-Reply-To: <b@example.test> (x)\r\nReferences: <c@x> <b@example.test>\r\n"
        b"Date: Mon, 23 Nov 2026 09:12:00 +0800 (CST)\r\nSubject: x\r\n\r\nbody"
    )
    message = read_mail(head)
    assert message.message_id == "<a.1@example.test>"
    assert message.in_reply_to == "<b@example.test>"
    assert message.references == ("<c@x>", "<b@example.test>")
    assert message.sent_at is not None
    assert message.sent_at.isoformat() == "2026-11-23T09:12:00+08:00"


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Mon, 32 Foo 20262 99:99 +9999", "23 Nov 2026 09:12", "Mon, 23 Nov 99999 09:12:00 +0800"]
)
def test_dates_that_are_none(date: str) -> None:
    assert read_mail(f"Date: {date}\r\n\r\nx".encode()).sent_at is None


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "Subject: =?utf-8?B?6Ieq5Yqo5Zue5aSN?=: 不在",
        "Subject: 自动回复: 已收到",
    ],
)
def test_automatic_answers(header: str) -> None:
    assert read_mail(header.encode() + b"\r\n\r\nx").automatic
    assert not read_mail(b"Auto-Submitted: no\r\nSubject: x\r\n\r\nx").automatic


def test_bulk() -> None:
    assert read_mail(b"Precedence: bulk\r\n\r\nx").bulk
    assert read_mail(b"List-Unsubscribe: <mailto:x@y>\r\n\r\nx").bulk
    assert not read_mail(b"Subject: x\r\n\r\nx").bulk


def test_nul_and_bare_line_ends_are_normalised_and_flagged() -> None:
    message = read_mail(b"Subject: a\r\n\r\none\ntwo\rthree\x00\r\nfour")
    assert message.text == "one\ntwo\nthree\nfour"
    assert {"bare_line_ends", "nul_removed"} <= set(message.flags)
    assert read_mail(b"Subject: a\r\n\r\none\r\ntwo").flags == ()


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n", b"Subject: x", b"Subject: x\r\n\r\n"])
def test_empty_mails(body: bytes) -> None:
    message = read_mail(body)
    assert (message.text, message.unread) == ("", None)


def test_binary_is_no_text_and_needs_a_person() -> None:
    message = read_mail(bytes(range(256)) * 50)
    assert message.text == ""
    assert message.unread == "the content is not text"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode"])
def test_transfer_encodings_as_leniently_as_they_are_sent(encoding: str) -> None:
    octets = TEXT.encode("gbk")
    if encoding == "base64":
        body = base64.b64encode(octets[:30]) + b"\r\n!" + base64.b64encode(octets[30:]).rstrip(b"=")
    elif encoding == "quoted-printable":
        body = b"".join(b"=%02X" % octet + (b"=\r\n" if index % 20 == 19 else b"") for index, octet in enumerate(octets))
    else:
        import binascii

        body = (
            b"begin 644 x\r\n"
            + b"".join(binascii.b2a_uu(octets[i : i + 45]) for i in range(0, len(octets), 45))
            + b"`\r\nend\r\n"
        )
    head = f"Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    assert read_mail(head + body).text == TEXT


# Attacks: what could be read is read, the rest is said, and the time is in proportion to the size.


def nested(depth: int) -> bytes:
    head, tail = b"", b""
    for level in range(depth):
        head += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        tail = b"\r\n--b%d--\r\n" % level + tail
    return head + b"\r\ninnermost" + tail


def test_depth() -> None:
    assert read_mail(nested(19)).text == "innermost"
    message = read_mail(nested(2000))
    assert message.unread == "parts nested deeper than 20"


def test_depth_of_mails_within_mails() -> None:
    message = read_mail(b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"\r\nbody")
    assert "nested deeper" in (message.unread or "")


def test_number_of_parts() -> None:
    parts = b"--b\r\n\r\npart\r\n" * 50_000
    message = read_mail(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--")
    assert message.unread == "more than 200 parts"
    assert message.text.count("part") == 199


def test_size_when_decoded() -> None:
    limits = Limits(decoded_bytes=1000)
    message = read_mail(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\n" + b"x" * 2000 + b"\r\n--b--", limits
    )
    assert message.text == "first"
    assert message.unread == "more than 1000 octets when decoded"


@pytest.mark.parametrize(
    "bomb",
    [
        b"Content-Type: multipart/mixed" + b"; " * 1_000_000 + b"\r\n\r\nbody",
        b"Content-Type: text/plain" + b'; a="' * 300_000 + b"\r\n\r\nbody",
        b"Content-Type: text/plain" + b";a*0=b" * 300_000 + b"\r\n\r\nbody",
        b"X: y\r\n" * 400_000 + b"\r\nbody",
        b"X: y\r\n" + b" folded\r\n" * 300_000 + b"\r\nbody",
        b"Subject: " + b"=?utf-8?B?" * 200_000 + b"\r\n\r\nbody",
        b"Subject: " + b"=?utf-8?q?=?=\r\n " * 150_000 + b"\r\n\r\nbody",
        b"References: " + b"<" * 1_000_000 + b"\r\n\r\nbody",
        b"Date: " + b"1 " * 500_000 + b"\r\n\r\nbody",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bx\r\n" * 300_000,
        b"Content-Type: text/html\r\n\r\n" + b"<!--" * 400_000,
        b"Content-Type: text/html\r\n\r\n" + b"<a b='" * 300_000,
        b"Content-Type: text/html\r\n\r\n" + b"<div hidden>" * 150_000 + b"body",
        b"Content-Type: text/html\r\n\r\n" + b"<" * 1_500_000,
        b"Content-Type: text/html\r\n\r\n" + b"&#" * 700_000,
        b"\r\n" + b"> " * 700_000,
        b"\r\n" + b">\r\n" * 400_000,
        b"\r\n" + b"-" * 1_500_000,
        b"\r\n" + "在2026年3月6日 9:00 ".encode() * 50_000,
        b"\r\n" + "在2026年3月6日 9:00\r\n".encode() * 50_000,
        b"\r\n" + "发件人：\r\n".encode() * 100_000,
        b"\r\n" + b"(" * 1_500_000,
    ],
    ids=range(22),
)
def test_bombs_take_time_in_proportion(bomb: bytes) -> None:
    began = time.process_time()
    message = read_mail(bomb)
    assert time.process_time() - began < 4
    assert isinstance(message, Message)


def test_header_bomb_is_said() -> None:
    message = read_mail(b"X: y\r\n" * 400_000 + b"\r\nbody")
    assert message.text == "body"
    assert message.unread == "header fields over the limit"


# Any octets give a message.

_lines = st.sampled_from(
    [
        b"Subject: x", b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/alternative; boundary=b",
        b"--b", b"--b--", b"Content-Type: text/html", b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64",
        b"", b"", b" folded", b"text", b"Content-Transfer-Encoding: quoted-printable", b"=?gbk?B?1?=", b"<p hidden><b>x</p>",
        b"Content-Type: text/plain; charset=utf-16",
        b"Content-Disposition: attachment; filename*0*=x''%", b"\xff\xfe\x00", b"> quoted", "发件人：某".encode(),
        "主题：某".encode("gbk"), b"Content-Type: text/plain; charset=utf-7", b"+2AA-",
        b"Content-Type: multipart/digest; boundary=b",
        b"Date: x", b"References: <a> b",
    ]
)  # fmt: skip


def _is_message(data: bytes) -> None:
    message = read_mail(data)
    for text in (
        message.text,
        message.subject,
        message.quoted,
        *message.flags,
        *(a.name + (a.text or "") for a in message.attachments),
    ):
        text.encode()
        assert "\0" not in text


@given(st.lists(_lines | st.binary(max_size=12), max_size=25), st.sampled_from([b"\r\n", b"\n", b"\r"]))
@settings(max_examples=300, deadline=None)
def test_any_lines_give_a_message(lines: list[bytes], end: bytes) -> None:
    _is_message(end.join(lines))


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_octets_give_a_message(data: bytes) -> None:
    _is_message(data)
    _is_message(b"Content-Type: text/html; charset=gbk\r\nContent-Transfer-Encoding: base64\r\n\r\n" + data)


_report = st.text("云台区火灾死亡人村镇，。1234 ", min_size=1, max_size=120).filter(str.strip)


@given(_report, _report, st.sampled_from(["utf-8", "gb18030", "gb2312"]), st.sampled_from(["base64", "quoted-printable", "8bit"]))
@settings(max_examples=100, deadline=None)
def test_what_the_standard_library_writes_is_read(subject: str, body: str, charset: str, cte: str) -> None:
    mail = EmailMessage(policy=policy.SMTP)
    mail["Subject"] = subject.strip()
    mail.set_content(body, charset=charset, cte=cte)
    mail.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="名.bin")
    message = read_mail(mail.as_bytes())
    assert message.text == "\n".join(line.rstrip() for line in body.split("\n")).strip()
    assert message.subject.replace(" ", "") == subject.replace(" ", "")
    assert [a.name for a in message.attachments] == ["名.bin"]


async def test_a_mail_of_full_size_is_read_within_a_workers_memory() -> None:
    from gateway.api import RawMessage
    from gateway.workers import WorkerPool
    from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
    from tests.channel_fakes import NOW

    body = plain(TEXT.encode(), "text/plain; charset=utf-8")
    for level in range(4):
        file = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD\r\n" * 1_050_000
        head = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        body = head + body + b"\r\n--b%d\r\n" % level + file + b"--b%d--\r\n" % level
    raw = RawMessage(channel="email", via="mail", received_at=NOW, sender="a@b.test", body=body, content_type="message/rfc822")
    pool = WorkerPool("parse", 1, 512, 30.0)
    try:
        message = await pool.read(EmailSmtp("mail", EmailSettings(addresses=("report@gateway.test",))), raw)
    finally:
        await pool.stop()
    assert len(body) > 25_000_000
    assert message.text == TEXT
    assert message.unread == "attachment not read: 4"


@pytest.mark.parametrize("tail", [b"a" * 5000, b"-- \r\nScanned by a filter, no virus found (mx.example.test)\r\n" * 3])
def test_what_a_list_puts_behind_an_encoded_text_does_not_hide_it(tail: bytes) -> None:
    for words in ("石桥县河湾村一处民房倒塌，两人被压。", "石桥县河湾村一处民房倒塌，两人被压，现场正在救援" * 3 + "。"):
        encoded = base64.encodebytes(words.encode()).replace(b"\n", b"\r\n")
        head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        message = read_mail(head + encoded + tail + b"\r\n")
        assert words in message.text
        assert message.unread == "what follows the encoded text is not text"
