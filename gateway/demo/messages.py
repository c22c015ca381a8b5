"""The four reports of the demo, one for each channel: four incidents of four kinds in four counties of the made-up 江州市.

Times are relative to ``now`` (aware, local), so that every report is of an hour or so ago. The fax is a scanned page whose text
is fixed; it says 昨日 for the same reason.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.mime.text import MIMEText
from email.utils import format_datetime
from importlib.resources import files
from typing import Any

SMS_SENDER = "+8613800000001"
EMAIL_SENDER = "zhb@yuntai.gateway.test"
FAX_SENDER = "fax@hylafax.gateway.test"
FAX_NUMBER = "09997000110"
PHONE_CALLER = "+8613800000003"


def sms(now: datetime) -> str:
    """A traffic accident in 白水县; over 70 characters, so that it takes two parts."""
    return (
        f"【白水县委办】{_hour(now - timedelta(minutes=50))}，省道S307白水县清泉镇梁家坪路段，一辆中型客车与重型货车相撞后侧翻，"
        "已造成4人死亡、9人受伤，伤者全部送往县医院救治，交警、消防正在现场处置，事故原因正在调查，后续情况续报。张明"
    )


def email(now: datetime) -> bytes:
    """A fire in 云台区, in GB18030 as most Chinese mail clients still send."""
    text = (
        "市委办、市政府办：\n\n"
        f"　　{_hour(now - timedelta(minutes=75))}，云台区建材市场二号仓库发生火灾，过火面积约800平方米，已造成3人死亡、6人受伤，"
        "直接经济损失约520万元，起火原因正在调查。\n"
        "　　区委、区政府主要负责同志已赶赴现场指挥扑救，消防救援站出动8辆消防车，明火已基本扑灭，伤者送区人民医院救治。"
        "下一步将全面清查现场、妥善安抚遇难者家属，并开展市场消防隐患排查。\n\n"
        "　　报告单位：云台区政府办　报告人：李军　审签人：周正\n"
    )
    mail = MIMEText(text, "plain", "gb18030")
    mail["From"] = EMAIL_SENDER
    mail["To"] = "report@gateway.test"
    mail["Subject"] = Header("云台区建材市场仓库火灾情况初报", "gb18030").encode()
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{now:%Y%m%d%H%M%S%f}.demo@yuntai.gateway.test>"
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n", max_line_length=76))


def fax(now: datetime) -> bytes:
    """A landslide in 柳河县, as a fax server's mail: its key/value lines and the scanned page."""
    page = files("gateway.demo").joinpath("assets/fax.tif").read_bytes()
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = f"The HylaFAX Receive Agent <{FAX_SENDER}>"
    mail["To"] = "fax@gateway.test"
    mail["Subject"] = f"facsimile received from {FAX_NUMBER}"
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{now:%Y%m%d%H%M%S%f}.fax@hylafax.gateway.test>"
    lines = {
        "Sender": "0999 7000110", "Pages": "1", "Quality": "Fine", "Size": "ISO A4", "Received": f"{now:%Y:%m:%d %H:%M:%S}",
        "Time To Receive": "0:42", "Signal Rate": "14400 bit/s", "Data Format": "2-D MMR", "Error Correct": "Yes",
        "CallID1": FAX_NUMBER, "CallID2": "", "CommID": "000000017", "ToModem": "ttyS0",
    }  # fmt: skip
    mail.set_content("".join(f"{name:>18}: {value}\n" for name, value in lines.items()))
    mail.add_attachment(page, maintype="image", subtype="tiff", filename="fax000000017.tif")
    return mail.as_bytes()


def phone(now: datetime) -> dict[str, Any]:
    """A call from 石桥县 about people poisoned by gas, as ``POST /phone`` takes it."""
    began = now - timedelta(minutes=4)
    turns = (
        ("值班员", "您好，这里是市政府值班室，请讲。"),
        ("来电人", "我是石桥县政府办的周强，有个紧急情况要报告。"),
        ("值班员", "请说，什么时间、什么地点？"),
        ("来电人", f"{_hour(now - timedelta(minutes=40))}，石桥县河东镇永丰化工厂发生氯气泄漏。"),
        ("值班员", "有没有人员伤亡？"),
        ("来电人", "目前2人死亡，15人中毒，都送到县医院了，周边300多名群众正在疏散。"),
        ("值班员", "原因清楚吗？采取了什么措施？"),
        ("来电人", "原因还在查，阀门已经关了，县应急局和消防正在现场处置，书面材料随后报。"),
        ("值班员", "好的，石桥县河东镇永丰化工厂氯气泄漏，2人死亡15人中毒，请尽快续报。"),
    )
    segments = [
        {"speaker": who, "start": 6.0 * index, "end": 6.0 * index + 5.5, "text": text} for index, (who, text) in enumerate(turns)
    ]
    return {
        "call_id": f"demo-{now:%Y%m%d%H%M%S%f}", "caller": PHONE_CALLER, "called": "09990000110",
        "started_at": began.isoformat(timespec="seconds"), "segments": segments,
    }  # fmt: skip


def _hour(at: datetime) -> str:
    """``11月23日8时40分许``: with the date, so that a report just after midnight stays in the past."""
    return f"{at.month}月{at.day}日{at.hour}时{at.minute:02d}分许"
