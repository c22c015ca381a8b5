"""What sort of message it is: first report, follow-up or final, correction or withdrawal, drill, or no report at all."""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.core.model import Kind, Message, Noise
from gateway.reading.lazy import lazy
from gateway.reading.numerals import value_of
from gateway.reading.words import Words

_LATER = r"(?<!将)(?<!再)(?<!容)(?<!情)(?<!况)(?<!时)(?<!后)(?<!详)(?<!陆续)(?<!并)(?<!继续)(?<!及)(?<!随)"
_FOLLOW = lazy(
    rf"{_LATER}续报|(?<=[\u4e00-\u9fff])续:|(?:昨[天晚日夜]|前天|上午|下午|刚才|早上)(?:报的)?那[个起次][^。，\n]{{0,14}}(?:的?事[，儿]|火灾|着火|事故|案|爆炸|塌)|情况的?续报(?=[(\[第:\n])|补充报告|后续报告|进展报告|再报一下|再报告一下|再补充|最新进展|最新情况|再次报告|(?:上午|下午"
    rf"|刚才|早上|昨天|昨晚|之前|前面|刚刚|前天)(?:给你们)?报(?:的|过|告的)|(?<![日月号天周])前报(?!送)|报的是一回事|是同一[件起个]事|别算成|两个数并|合并上报|(?:^|(?<=[\n:]))关于(?:昨[天晚日夜]|今[天早晨日]|前[天日晚])[^。，\n]{{0,20}}(?:事件|事故|火灾|案件|案)[,，]|前述|接前报|续前报|现补充|补充如下|补充情况", begins="续情补后进再最上下刚早昨之前接现报是别两合关")
_NUMBERED = lazy(
    r"续报(?:之|第|\()?(?P<a>[一二三四五六七八九十\d]{1,3})(?![月日人时点])"
    r"|第(?P<b>[一二三四五六七八九十\d]{1,3})次(?:续报|报告)|(?P<c>[一二三四五六七八九十\d]{1,2})次?续报", needs=("续报", "次报告"))
_FINAL = lazy(r"终报|最终报告|结果报告|结案报告|处置结果报告|终结报告|最后一次报告|处置完毕.{0,12}(?:不再续报|终报)")
_CORRECT = lazy(r"更正(?![，]?(?:是|不是)|[^。\n]{0,10}算了)|订正|勘误|前报有误|报错了|前报.{0,20}(?:有误|应为|错误)|上报.{0,12}有误|改正前报|数字有误|核减", needs=("更正", "订正", "勘误", "有误", "报错", "应为", "错误", "核减", "前报"))
_WITHDRAW = lazy(
    r"撤销(?:前|该|上述|此前|本)|撤回|作废|(?:前报|所报|刚才报的|上午报的|该信息|该情况|此前报|上报的"
    r"|报的那个)[^。;\n]{0,16}(?:误报|不实|虚惊|没有这回事|不属实|取消)|系误报|属误报|是误报|为误报"
    r"|误报[，。,]?(?:请|特此)|虚惊一场", begins="撤作前所刚上该此报系属是为误虚", needs=("撤", "作废", "误报", "不实", "虚惊", "没有这回事", "不属实", "取消"))
_DRILL_MARK = lazy(
    r"[【\[(<《][^】\])>》\n]{0,8}(?:演练|演习|测试|推演|模拟)[^】\])>》\n]{0,8}[】\])>》]"
    r"|(?:^|\n)(?:紧急信息)?(?:应急)?(?:演练|演习|推演|测试):"
    r"|(?:^|[。\n])(?:以[上下]|本信息|此为|这是|仅为|仅供)[^。\n]{0,8}(?:演练|演习|测试|模拟)"
    r"|(?:内容|信息|情况)?(?:系|均为|纯属)(?:模拟|虚构)|用于(?:检验|测试)[^。\n]{0,6}(?:通[信讯]|系统|链路)"
    r"|(?:^|\n)[A-Za-z]{0,10}(?:演练|演习)(?![返期中时现结后前过开用途当])|(?:演习|演练){2}|仅[供为作](?:演练|演习|测试)"
    r"|(?:这是|此为|本次为)(?:一次|一场)?[^，。\n]{0,4}(?:演练|演习|测试)(?=[:，。!)\]])", needs=("演练", "演习", "测试", "推演", "模拟", "虚构", "用于检验"))
_HELD = lazy(r"(?:举行|组织|开展|举办|进行|参加|实施|启动)[^。;\n]{0,30}(?:演练|演习|推演)", needs=("演练", "演习", "推演"))
_PLAYED = lazy(
    r"模拟|假想|假设|假定|设想|扮演|(?:演练|演习|推演)[^。\n]{0,12}(?:取得|圆满|成功|顺利|检验|达到|效果)|检验[了]?[^。\n]{0,20}(?:预案|能力)"
)
_DRILL_HINTS = ("演", "测试", "模拟", "假想", "设想", "想定", "虚构", "用于检验")
_SUCCEEDED = lazy(
    r"(?:演练|演习|推演)[^。\n]{0,12}(?:取得|圆满|成功|顺利|检验了|达到|效果)|“(?:暴徒|歹徒|群众|伤员|伤者|嫌疑人|灾民)”[^。\n]{0,40}(?:演练|演习)",
    needs=("演练", "演习", "推演"),
)
_SCENE = lazy(r"(?:模拟|假想|设想|想定)(?:的)?(?:情景|场景|情况|灾情|险情|背景|事件)", needs=("模拟", "假想", "设想", "想定"))
_REAL = lazy(
    r"(?:演练|演习)(?:当天|现场|期间|过程|开始|结束|前|后|时|中|途中){1,2}(?:(?![模假设想])[^。\n]){0,24}"
    r"(?:发生|突发|突然|意外|导致|造成|踩踏|受伤|晕倒|坠|倒塌|误落|死亡)", begins="演")
_ONGOING = lazy(r"^(?:[^\n]{1,40}[\n:])?截[至止][^。\n]{4,60}?(?:仍在|仍未)")
_RISEN = lazy(
    r"由[\d.]+[万余]{0,2}[^，。\n\d]{0,4}(?:增至|升至|增加到|上升到)|\d[间人户]不变|又有?[^。，\n]{1,16}(?:死亡|身亡|不治)[^。\n]{0,8}(?:共|累计|总)|(?:死亡|遇难|失踪|受伤|中毒|伤亡|发热|发病|患病|确诊|腹泻|呕吐|住院|病例)(?:人数|者)?[^。，\n]{0,8}(?:上升|升|增|增加)(?:至|到)(?!\d+[头只匹])", begins=r"由\d又死遇失受中伤发患确腹呕住病", needs=("又", "升", "增", "不变"))
_POINTS = lazy(r"附件|附后|附上")
_CITED = lazy(r"(事件类|案件类|事故类|灾情疫情类|灾情类|疫情类)第?([一二三四五六七八九十\d]{1,3})[项条款]", needs=("类",))
_NUMBER = lazy(
    r"[〔\[(【]?(?P<y>20\d\d)[〕\])】][第]?(?P<n>\d{1,5})号?|(?P<y2>20\d\d)-(?P<n2>0\d{3}|\d{4,5})(?![\d-])"
    r"|(?:编号|事件|信息|前报)[为:第]{0,2}[〔\[(]?(?P<n3>\d{3,5})[〕\])]?号?|[〔](?P<n4>\d{3,5})[〕]|(?<!\d)(?P<n5>\d{4})号(?:事件|信息|案件|报告)", begins=r"〔\[(【\d编事信前", needs=("〔", "〕", "]", ")", "】", "-", "号", "事件", "信息", "前报"))
_ANNOUNCES = lazy(
    r"关于(?:召开|举办|举行|做好|开展|印发|组织|加强|进一步|报送|转发|调整|征集|填报|参加)[^。\n]{0,40}(?:通知"
    r"|意见|方案|函|公告|启事)|会议通知", needs=("关于", "会议通知"))
_ASKS = lazy(
    r"请(?:各[^，。]{1,8})?于?[^。，\n]{0,14}(?:日|月|下班|周[一二三四五])前(?:报送|填报|上报|反馈|报)[^。\n]{0,20}(?:表|总结|材料|计划|方案|名单|(?:排查|落实|开展|整改|进展|工作|自查)情况)"
)
_INVITES = lazy(r"请各[^，。]{1,8}(?:组织)?(?:收听收看|收看|观看|参加)[^。\n]{0,20}(?:仪式|大会|活动|直播|专题片|警示片)")
_HAPPENED = lazy(r"(?:今|昨|前天|\d日|\d时|\d分|凌晨|上午|下午|晚)[^。\n]{0,30}(?:(?<![未无没])发生|(?<!无)突发|出现|起火|爆炸|相撞|死亡|受伤)")
_DENIED = lazy(
    r"(?:网传|传言|谣传|谣言称|网上[^，。;\n]{0,8}传|网[民友][^，。;\n]{0,8}[称传]|群[^，。;\n]{0,10}传|流传)[^。;\n]{0,60}?(?:(?:系|为|是|属)(?:谣言|不实|虚假|误传|假|旧[闻事]|旧视频)|系[^，。;\n]{0,12}(?:道具|摆拍|拍摄)|[无没]有?此事|误会|误传|翻炒|张冠李戴|移花接木)"
    r"|并未发生(?:网传|所谓|传言)", begins="网传谣群流并", needs=("传", "谣", "网", "群"))
_CONFIRMED = lazy(
    r"(?<!不)(?<!未)属实|确有其事|确实(?:发生|有)|实际(?:为|是|死亡|受伤|情况)|真实情况|(?:核实|核查|查实)[，:]?[^。无未没]{0,20}(?:死亡|受伤|(?<!未)(?<!没有)发生)"
)
_PLAIN = lazy(
    r"发生|突发|出现|起火|着火|爆炸|相撞|坠|塌|罢|堵|聚集|上访|闹|冲突|斗殴|打[伤砸架]|失踪|失联|走失|溺|晕|呕吐|腹泻|发病|停[水电气产]|泄|漏|断裂|中断|被困|抓获|查获|破获|立案|报案"
)
_STATISTICS = lazy(
    r"(?:[一二三四1-4]季度|上半年|下半年|全年|年度|上月|上个月|\d月份)[^。\n]{0,40}?(?:共|累计)[^。\n]{0,14}?(?:收到|发生|受理|接报|查处|报送|处置)[^。\n]{0,20}?\d+(?:余)?[条起件次]", begins=r"一二三四\d上下全年", needs=("共", "累计"))
_HEARSAY = lazy(r"转发?[^。\n]{0,4}(?:微信|朋友圈|抖音|群)[^。\n]{0,4}(?:消息|信息|视频)?|(?:邻|外|别的?|兄弟)省")
_QUERY = lazy(r"(?:想|请)问[^。\n]{0,40}(?:怎么(?:安排|办理|走|交|报名)|什么时候|几[号点]|多少钱|电话是多少|放不放假|在哪里?(?:办|领))")
_WARNS = lazy(r"发布[^，。;\n]{0,14}(?:预警|预报)", needs=("预警", "预报"))
_CALM = lazy(r"(?:无|未接到|没有|暂无)[^，。;\n]{0,8}(?:突发|灾情|险情|灾害|异常)[^，。;\n]{0,6}(?:报告|情况|发生)|请[^。\n]{0,24}(?:防范|防御|做好|注意)")
_MANY = lazy(r"[\d十百千]余?(?:多|来)?(?:名|人|户|辆)")
"""People who are counted are there: a run on a bank is real, whatever rumour set it off."""
_NEWS_HEAD = 60


class Sort(NamedTuple):
    """What sort of message it is."""

    kind: Kind | None
    number: int | None
    correction: bool
    withdrawal: bool
    drill: bool
    noise: Noise | None
    refers_to: str | None
    cites: tuple[str, ...]


def sort_of(text: str, subject: str, message: Message, words: Words, *, local: bool, figures: bool, told: str | None) -> Sort:
    """Sort a folded ``text``. ``local``: it names a place or unit of the city; ``figures``: it states casualties or the
    like; ``told``: it says when something happened ("time"), and a figure with it ("figures"). Where all speak for a report, only its form makes it noise."""
    head = subject + "\n" + text[:1500]
    drill = _drill(head + text[-200:], words)
    noise = None if drill else _noise(text, subject, message, words, local=local, figures=figures, told=told)
    withdrawal = _WITHDRAW.search(head) is not None
    correction = _CORRECT.search(head[:400]) is not None and not withdrawal
    final = _FINAL.search(head[:300]) is not None
    follow = _FOLLOW.search(subject + "\n" + text[:160]) is not None or _NUMBERED.search(head[:200]) is not None
    # What goes on from something told before, though it does not call itself so: an answer, figures that rose, 仍在.
    follow = follow or bool(message.in_reply_to and message.quoted) or _ONGOING.search(text) is not None
    follow = follow or _RISEN.search(text, 0, 300) is not None
    kind: Kind | None = None
    if not noise and not drill:
        kind = "终报" if final else "续报" if follow or correction or withdrawal else "初报"
    numbered = _NUMBERED.search(head[:200]) if kind == "续报" else None
    return Sort(
        kind=kind,
        number=_count(numbered),
        correction=correction and not noise,
        withdrawal=withdrawal and not noise,
        drill=drill,
        noise=noise,
        refers_to=_cited_number(head),
        cites=_cites(head),
    )


def _count(match: re.Match[str] | None) -> int | None:
    if match is None:
        return None
    value = value_of(match["a"] or match["b"] or match["c"])
    return None if value is None else int(value)


def _drill(text: str, words: Words) -> bool:
    """A denial (不是演练) goes first, then the mark in its own form, then that something happened at a drill."""
    if not any(hint in text for hint in _DRILL_HINTS) and not words.found("drill", text):
        return False
    taken_back = [word for word in words.real if word in text]
    if any(not word.startswith("演练") for word in taken_back):
        return False
    if _DRILL_MARK.search(text):
        return True
    if taken_back or _REAL.search(text):
        return False
    if _SUCCEEDED.search(text):
        return True
    if _HELD.search(text) and _PLAYED.search(text):
        return True
    return _SCENE.search(text) is not None or words.found("drill", text)


def _noise(
    text: str, subject: str, message: Message, words: Words, *, local: bool, figures: bool, told: str | None
) -> Noise | None:
    whole = subject + text
    if not re.search(r"\w", whole):
        return None if message.attachments or message.unread else "empty"
    incident = words.found("incident", whole)
    head = subject + text[:200]
    automatic = message.automatic or words.found("auto_reply", head.lower())
    if automatic and (not (local and incident and figures) or words.found("rumour", whole)):
        return "auto_reply"
    if (not figures and _asks_or_warns(head, incident=incident)) or _announces(head, whole, figures=figures, told=told):
        return "notice"
    if len(text) < 80 and message.attachments and _POINTS.search(text):
        return None  # what it says stands elsewhere
    denied = _DENIED.search(whole, 0, 600) is not None and not _CONFIRMED.search(whole, 0, 1000) and not (local and figures)
    if denied or (not local and _HEARSAY.search(head)):
        return "news"
    if local and told:
        plain = told == "time" and not incident and not figures and not _PLAIN.search(whole, 0, 1500)
        if plain and (sort := _no_report(subject + text[:60], whole, words)):
            return sort
        rumour = words.found("rumour", head) and not incident and not _MANY.search(head)
        return "news" if rumour else None
    advertised = sum(word in whole for word in words.spam)
    if advertised >= 2 and not local:
        return "spam"
    if incident or figures:
        return _passed_on(whole, text, head, words, local=local, figures=figures)
    if advertised >= 3 or (message.bulk and advertised):
        return "spam"
    if sort := _no_report(subject + text[:60], whole, words):
        return sort
    return "news" if words.found("news", text[:_NEWS_HEAD]) and not local else None


def _no_report(opening: str, whole: str, words: Words) -> Noise | None:
    if words.found("notice", opening):
        return "notice"
    return "greeting" if words.found("greeting", whole) else None


def _asks_or_warns(head: str, *, incident: bool) -> bool:
    """A citizen's question, or a forecast that says that nothing happened."""
    if _QUERY.search(head) and not incident:
        return True
    return bool(_WARNS.search(head) and _CALM.search(head)) and not _HAPPENED.search(head)


def _announces(head: str, whole: str, *, figures: bool, told: str | None) -> bool:
    if _STATISTICS.search(whole, 0, 600) and _HAPPENED.search(whole, 0, 1000) is None:
        return True
    if _INVITES.search(head):
        return True
    if figures:
        return False
    if _ASKS.search(head) and not told:
        return True
    return _ANNOUNCES.search(head[:200]) is not None and _HAPPENED.search(whole[:1000]) is None


def _passed_on(whole: str, text: str, head: str, words: Words, *, local: bool, figures: bool) -> Noise | None:
    """A text that tells of an incident is news only where it is a rumour or nothing places the incident in this city."""
    rumour = words.found("rumour", whole)
    away = words.found("news", text[:_NEWS_HEAD]) or (rumour and words.found("rumour", head))
    return "news" if (rumour and not figures) or (away and not local) else None


def _cites(text: str) -> tuple[str, ...]:
    found = []
    for match in _CITED.finditer(text):
        group = "灾情疫情类" if match[1] in ("灾情类", "疫情类") else match[1]
        value = value_of(match[2])
        if value:
            found.append(f"{group}-{int(value)}")
    return tuple(dict.fromkeys(found))


def _cited_number(text: str) -> str | None:
    match = _NUMBER.search(text)
    if match is None:
        return None
    year, number = match["y"] or match["y2"], match["n"] or match["n2"] or match["n3"] or match["n4"] or match["n5"]
    return f"{year}-{int(number):04d}" if year else f"{int(number):04d}"
