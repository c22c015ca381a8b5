"""What a report denies or does not know: 无人员伤亡 is zero, 伤亡不详 and 尚无伤亡报告 are unknown, 无新增 is neither."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from gateway.reading.dialogue import Turn
from gateway.reading.lazy import lazy

_NO = r"(?=[暂尚均并没无未不])(?<!有)(?<!除)(?:暂无|尚无|均无|并无|暂时没有|暂没有|没有|没|无|未|暂未|尚未|并未|均未|不会?)"
_LINK = r"(?:有|造成|发生|出现|导致|引起|发现|接到|任何|直接|人员|群众|旅客|学生|师生|居民|村民|工人|一人|1人|一名|1名|一例|一|其他|其它|人|的){0,5}"
_REPORT = r"(?!(?:(?!特此)[^，。;\n]){0,10}(?:报告|消息|报道|信息|统计))"
_NOUNS = {
    "伤亡": ("deaths", "injured"), "死伤": ("deaths", "injured"), "死亡": ("deaths",), "身亡": ("deaths",), "遇难": ("deaths",), "丧生": ("deaths",),
    "受轻伤": ("injured",), "受伤": ("injured",), "重伤": ("seriously_injured",), "失踪": ("missing",), "失联": ("missing",), "被困": ("trapped",),
    "中毒": ("poisoned",), "重症": (), "危重": (), "死": ("deaths",), "伤": ("injured",),
}  # fmt: skip
_NOUN = "(?:" + "|".join(_NOUNS).replace("|死|伤", "|死(?!亡|伤)|伤(?!亡|者|员|势|情|口|心)") + ")(?:者|病例)?"
_NONE = lazy(rf"{_NO}{_LINK}(?P<what>{_NOUN}(?:(?:[、和或及与]|以及|或者)(?:人员|人)?{_NOUN}){{0,3}}){_REPORT}", begins="暂尚均并没无未不", needs=("没", "无", "未", "不"))
_SOME = lazy(r"[\d一二两三四五六七八九十]余?$|(?:[\d一二两三四五六七八九十]余?[人名个]|其余|其他|另外)(?:经?(?:检查|观察|诊断|体检)|[\u4e00-\u9fff]{0,2})$")
_OF_SOME = lazy(r"的[\u4e00-\u9fff]")
_ONE_NOUN = lazy("|".join(_NOUNS))
_ABSENT = lazy(r"(?P<what>死亡|死的|死人|受伤|伤的|失踪)(?:的|人员|情况)?(?:倒|还|暂时|目前|也|都)?(?:没有|无)(?=[，。;!?\n]|$)", needs=("无", "没有"))
_ZERO = (
    (("deaths", "injured"), lazy(
        r"(?=[人师群旅学大])(?:人|人员|师生|群众|旅客|学生|大家)(?:都|均|全部|全|倒是|也)?(?:没事|平安|无恙|无碍|没什么事"
        r"|安全撤|安全无)", needs=("没", "无", "平安", "安全撤")
    )),
    (("injured",), lazy(r"(?:人|人员|师生|群众|旅客|学生|大家)(?:都|均|全部|全|倒是|也)?没(?:有)?伤着", needs=("伤着",))),
    (("deaths",), lazy(r"没(?:什么|啥)?大事", needs=("没",))),
    (("injured",), lazy(r"没(?:有)?[伤碰砸][着到]人", needs=("没",))),
    (("deaths", "injured", "ill"), lazy(rf"{_NO}(?:有|出现|发现|人员|人|群众)+(?:发病|不适|异常)", needs=("适", "异常", "发病"))),
    (("ill",), lazy(rf"{_NO}(?:有|出现|发现|人员|人|群众)+感染", needs=("感染",))),
)  # fmt: skip
_UNKNOWN = lazy(
    r"(?=[人伤死受失尚暂目还仍无没未])(?:(?:(?P<all>人员伤亡|伤亡|死伤|人员)|(?P<deaths>死亡)|(?P<injured>受伤)|(?P<missing>失踪))(?:的?情况|人数"
    r"|数字|数)?"
    r"(?:目前|具体|尚|还|暂|仍|均|都|正在?|有待|待|进一步|暂时){0,4}(?:不详|不明|不清楚|不清|不知道|未知|核实|统计"
    r"|核查|确认|无法确定|说不准)"
    r"|(?:尚|暂|目前|还|仍){0,2}(?:无|没有?|未(?:接到|收到|有)?)[^，。;\n]{0,8}(?P<none>伤亡|死亡"
    r"|死伤)[^，。;\n]{0,10}(?:报告|消息|报道|信息))", begins="人伤死受失尚暂目还仍无没未", needs=("不", "无", "没", "未", "核", "统计", "确认"))
_ASKS = lazy(
    r"(?P<all>伤亡|人员情况)|(?P<deaths>死亡|死人|死的|死没死)|(?P<injured>受伤|伤员|伤的|伤着)|(?P<missing>失踪"
    r"|失联)|(?P<trapped>被困)"
)
_ANSWER_NO = lazy(r"(?:嗯|啊|哦|呃|这个|目前|，)*(?:暂时|目前)?(?:没有|没|无|都没|不会)(?!.{0,2}(?:听说|统计|核实|接到|查|确|搞|弄))")
_ANSWER_UNKNOWN = lazy(r"[^。?!\n]{0,10}(?:没听说|不清楚|不知道|不详|不好说|说不准|没统计|没核实|正在核|没搞清|还不|不确定|不太清)")
_FIELDS = {"all": ("deaths", "injured"), "none": ("deaths", "injured")}


class Denial(NamedTuple):
    """``value`` 0: the text says there was none; None: it says that it is not known. ``field`` "": of some people only."""

    field: str
    value: int | None
    start: int
    end: int


def denials(text: str, turns: list[Turn]) -> list[Denial]:
    """What ``text`` denies or leaves open, and what a caller answers to the clerk's questions."""
    clerk = [(t.start, t.end) for t in turns if t.clerk]
    found: list[Denial] = []
    for fields, pattern in _ZERO:
        for match in pattern.finditer(text):
            if _SOME.search(text, max(0, match.start() - 6), match.start()):
                found.append(Denial("", 0, *match.span()))  # 另外3人没有不适
            elif not _asked(text, match.start(), match.end(), clerk):
                found.extend(Denial(field, 0, *match.span()) for field in fields)
    for pattern in (_NONE, _ABSENT):
        for match in pattern.finditer(text):
            if pattern is _NONE and _OF_SOME.match(text, match.end()):
                found.append(Denial("", 0, *match.span()))  # 其余12名没有受伤的游客 tells of them alone
            elif not _asked(text, match.start(), match.end(), clerk):
                found.extend(Denial(field, 0, *match.span()) for field in _denied(match["what"]))
    for match in _UNKNOWN.finditer(text):
        if not any(a <= match.start() < b for a, b in clerk):
            group = match.lastgroup or "all"
            found.extend(Denial(field, None, *match.span()) for field in _FIELDS.get(group, (group,)))
    found.extend(_answers(text, turns))
    return sorted(found, key=lambda d: d.start)


def _denied(what: str) -> list[str]:
    named = [f for m in _ONE_NOUN.finditer(what.replace("死的", "死亡").replace("死人", "死亡")) for f in _NOUNS[m[0]]]
    return list(dict.fromkeys(named))


def _asked(text: str, start: int, end: int, clerk: list[tuple[int, int]]) -> bool:
    if any(a <= start < b for a, b in clerk):
        return True
    return text[max(0, start - 1) : start] == "有" or text[end : end + 2].startswith(("吗", "?"))


def _answers(text: str, turns: list[Turn]) -> list[Denial]:
    found: list[Denial] = []
    for question, answer in pairwise(turns):
        if not question.clerk or answer.clerk:
            continue
        asked = text[question.start : question.end]
        sentence = re.split("[。，]", asked.strip().rstrip("?"))[-1] if "?" in asked else ""
        names = {name for m in _ASKS.finditer(sentence) for name in _FIELDS.get(m.lastgroup or "", (m.lastgroup or "",))}
        if not names:
            continue
        value: int | None
        if _ANSWER_UNKNOWN.match(text, answer.start, answer.end):
            value = None
        elif _ANSWER_NO.match(text, answer.start, answer.end):
            value = 0
        else:
            continue
        end = min(answer.end, answer.start + 6)
        found.extend(Denial(name, value, answer.start, end) for name in sorted(names))
    return found
