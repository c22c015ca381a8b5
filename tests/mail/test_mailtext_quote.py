"""The newest part of a mail against what it quotes, in the styles of the clients in use."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_plugins.mailtext import quote, read_mail

NEW = "续报：石桥县河东镇透水事故，死亡人数由2人升至3人。"
OLD = "初报：石桥县河东镇一煤矿透水，2人死亡。"

BLOCK = "发件人: 周强 [mailto:zq@example.test]\n发送时间: 2026年3月6日 9:12\n收件人: 值班室\n主题: 初报"

STYLES = {
    "outlook": f"-----原始邮件-----\n{BLOCK}\n\n{OLD}",
    "outlook-block": f"________________________________\n{BLOCK}\n\n{OLD}",
    "outlook-en": f"From: Zhou <zq@example.test>\nSent: Friday, March 6, 2026 9:12 AM\nTo: duty\nSubject: first\n\n{OLD}",
    "qq": f"------------------ 原始邮件 ------------------\n{BLOCK.replace(' 9:12', '(星期五) 上午9:12')}\n\n{OLD}",
    "foxmail": f"zq@example.test\n\n发件人： 周强\n发送时间： 2026-03-06 09:12\n收件人： 值班室\n主题： 初报\n{OLD}",
    "163": f'在 2026-03-06 09:12:33，"周强" <zq@example.test> 写道：\n{OLD}',
    "163-en": f'At 2026-03-06 09:12:33, "zhou" <zq@example.test> wrote:\n{OLD}',
    "163-new": f"---- 回复的原邮件 ----\n| 发件人 | 周强 |\n{OLD}",
    "gmail": f"周强 <zq@example.test> 于2026年3月6日周五 09:12写道：\n\n> {OLD}\n> 周强",
    "gmail-broken": f"周强 <zq@example.test> 于2026年3月6日周五\n09:12写道：\n\n> {OLD}",
    "gmail-en": f"On Fri, Mar 6, 2026 at 9:12 AM Zhou <zq@example.test> wrote:\n\n> {OLD}",
    "iphone": f"发自我的 iPhone\n\n在 2026年3月6日，09:12，周强 <zq@example.test> 写道：\n\n> {OLD}",
    "angles": f"> {OLD}\n> 周强",
}


@pytest.mark.parametrize("style", STYLES)
def test_replies(style: str) -> None:
    cut = quote.split(f"{NEW}\n\n{STYLES[style]}")
    assert cut.newest.startswith(NEW)
    assert OLD not in cut.newest
    assert OLD in cut.quoted
    assert not cut.forwarded


HTML = {
    "gmail": f'<div>{NEW}</div><div class="gmail_quote"><div>周强 于2026年3月6日写道：</div><blockquote>{OLD}</blockquote></div>',
    "apple": f"{NEW}<br><blockquote type='cite'><div>{OLD}</div></blockquote>",
    "163": f'<p>{NEW}</p><div id="isReplyContent"><p>{OLD}</p></div>',
    "outlook": f'<p>{NEW}</p><div id="divRplyFwdMsg"><b>发件人:</b> 周强<br></div><div>{OLD}</div>',
    "qq": f"<div>{NEW}</div><div><includetail><div>-----------&nbsp;原始邮件&nbsp;-----------</div>{OLD}</includetail></div>",
}


@pytest.mark.parametrize("style", HTML)
def test_replies_in_html(style: str) -> None:
    message = read_mail(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + HTML[style].encode())
    assert message.text == NEW
    assert OLD in message.quoted


def test_answers_below_and_between_quoted_lines_are_the_senders_own() -> None:
    cut = quote.split(f"> 死亡几人？\n> 伤几人？\n3人。\n> 原因？\n{NEW}")
    assert cut.newest == f"3人。\n{NEW}"
    assert "死亡几人" in cut.quoted


@pytest.mark.parametrize(
    "forward",
    [
        f"-------- 转发邮件信息 --------\n发件人：周强\n发送日期：2026-03-06\n主题：初报\n{OLD}",
        f"---------- Forwarded message ---------\nFrom: Zhou <zq@x.test>\nDate: 2026\nSubject: x\nTo: <d@x.test>\n\n{OLD}",
        f'请阅处。\n\n---------- 原始邮件 ----------\n发件人: "周强"\n发送时间: 2026年3月6日\n主题: 初报\n\n{OLD}',
        f"开始转发的邮件：\n\n> 发件人: 周强\n> 日期: 2026年3月6日\n> 主题: 初报\n>\n> {OLD}",
    ],
)
def test_a_forward_without_a_report_of_its_own_keeps_what_it_forwards(forward: str) -> None:
    cut = quote.split(forward, "转发：初报")
    assert cut.forwarded
    assert cut.newest.endswith(OLD)
    assert "发件人" not in cut.newest


def test_a_forward_with_a_report_of_its_own_keeps_that() -> None:
    cut = quote.split(f"{NEW}详情见下。\n-------- 转发邮件信息 --------\n{OLD}", "转发：初报")
    assert cut.newest == f"{NEW}详情见下。"
    assert OLD in cut.quoted


def test_a_chain_that_is_forwarded_keeps_its_newest_part() -> None:
    cut = quote.split(f"-------- 转发邮件信息 --------\n发件人：周强\n主题：续报\n\n{NEW}\n\n{STYLES['163']}", "转发：续报")
    assert cut.newest == NEW
    assert OLD in cut.quoted


def test_a_short_answer_to_a_report_is_no_forward() -> None:
    cut = quote.split(f"收到，谢谢。\n\n{STYLES['163']}", "回复：初报")
    assert cut.newest == "收到，谢谢。"


@pytest.mark.parametrize(
    "text",
    [
        "某网民在微博中写道：\n河东镇有人被困。",
        "现场横幅上写道：\n还我土地。",
        "发件人：石桥县政府办\n石桥县河东镇发生事故。",
        "-----\n石桥县河东镇发生事故。\n-----\n报告人：周强",
        "> 3人死亡",
    ],
)
def test_what_only_looks_like_a_quote_stays(text: str) -> None:
    assert quote.split(text) == quote.Cut(text)


_line = st.sampled_from([*"\n".join(STYLES.values()).split("\n"), NEW, "", ">", "> x", "\ufdd0", "请阅。", "开始转发的邮件："])


@example(["Sent: Friday, March 6, 2026 9:12 AM", OLD, "在 2026年3月6日，09:12，周强 <zq@example.test> 写道："], "")
@given(st.lists(_line, max_size=12), st.sampled_from(["", "转发：x", "回复：x"]))
def test_no_line_is_lost_and_a_mail_with_words_has_a_text(lines: list[str], subject: str) -> None:
    cut = quote.split("\n".join(lines), subject)
    assert cut == quote.split("\n".join(lines), subject)
    kept = cut.newest + cut.quoted
    for line in lines:
        if line in (NEW, OLD):
            assert line in kept
    if NEW in lines:
        assert cut.newest
