"""Who reports: the unit, the person, the number to call back, and who signed it off."""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.core.model import Span
from gateway.reading.dialogue import Turn
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal

_SUFFIX = (
    "委员会办公室|党委办公室|委办公室|政府办公室|政府值班室|委办|政府办|值班室|党政办公室|党政办|综合办|办公室"
    "|指挥中心|公安分局|公安局|派出所|交警大队|消防大队|消防救援大队|大队|支队|中队"
    "|卫健委|卫生健康委(?:员会)?|发改委|住建委|国资委|政法委|信访局|[\u4e00-\u9fff]{1,6}局|管委会|居委会|村委会|防汛办|防指|疾控中心|卫生院|人民医院|医院"
    "|[\u4e00-\u9fff]{1,4}中学|[\u4e00-\u9fff]{1,4}小学|镇政府|乡政府|街道办事处|街道办|苏木政府|[县区旗市]政府|人民政府"
    "|[县区旗]委|[\u4e00-\u9fff]{1,3}部|[\u4e00-\u9fff]{1,3}办|局调度|调度室|调度|集团|公司|检察院|法院|监狱"
    "|林业站|水利站|农技站|兽医站|畜牧站|监测站|气象站|海事处|应急办|安委办|武装部|学校|学院|大学|林场|车站|机场"
)
_MORE = "(?:办公室|办|值班室|指挥中心|调度|局|大队|派出所|党政办|政府){0,3}"
_UNIT = lazy(rf"[\u4e00-\u9fff]{{2,16}}?(?:{_SUFFIX}){_MORE}")
_LONGEST = lazy(rf"[\u4e00-\u9fff]{{2,22}}(?:{_SUFFIX})")
_BRACKET = lazy(r"^[【\[](?P<unit>[^】\]]{3,24})[】\]]")
_LABEL = lazy(r"(?:报送单位|报告单位|上报单位|填报单位|来电单位|单位)[:：]?(?P<unit>[\u4e00-\u9fff]{3,24})")
_FROM = lazy(r"[Ff][Rr][Oo][Mm][: ]*(?P<unit>[\u4e00-\u9fff]{3,24})")
_OPENING = lazy(
    r"(?:^|\n)(?:FAX[^\n]*\n)?(?P<unit>[\u4e00-\u9fff]{3,24}?)(?:报告|报称|报|传真)?(?::|FAX|传真|\d{4}[-./年]"
    r"|\d{1,2}[月-]|[ 0-9O]{2}/|\n)"
)
_LINE = lazy(r"[\u4e00-\u9fff]{2,8}(?:消防|公安|交警|应急|信访|林业|教育|卫健|水利|民政|安监)")  # 开发区消防：
_LONGEST_LINE = 50
_SAYS = lazy(r"(?:第?[一二三四五六七八九十\d]{0,2}次?(?:续报|补报|再报|报告|报称?)(?:之?[一二三四五六七八九十\d]{1,2})?)?(?:\([^()\n]{1,8}\))?$")
_SPEAKER = lazy(
    rf"(?:我是|我这里是|我这边是|这里是|我(?!们|叫|姓|区|县|市|旗|镇"
    rf"|乡))(?P<unit>[\u4e00-\u9fff]{{2,14}}?(?:{_SUFFIX}){_MORE})"
)
_ADDRESSED = lazy(r"市委办|市(?:人民)?政府|市委|信息科|秘书二科|市府办|各县")
_NO_UNIT = lazy(r"送|被|去了|到了|[您你]好$|吗$")  # 司机送医院了, 市委办您好
_TAIL = lazy(
    r"(?:^|[。!\n;；])(?:特此报告。?)?(?P<tail>[\u4e00-\u9fff、 ]{2,26})(?:\n?(?:\d{4}年)?\d{1,2}月\d{1,2}日(?:\d{1,2}[时:点]\d{0,2}分?)?)?[。\s]*$"
)
_CONTACT_LINE = r"\(?(?:联系人|联系电话|签发人?|审签人?|审核人?|报告人|值班员|值班电话|电话)[^\n。;]*"
_CONTACT = lazy(rf"(?:(?<=[局办室会院队府站]) *(?:值班员|联系人|报告人)[^\n。;]*|(?:\n *{_CONTACT_LINE})+)[。\s]*$")
"""What stands after the signature: whom to call, who signed it off."""
_SURNAME = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚范彭郎鲁韦昌马苗凤花"
    "方俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于时傅"
    "皮卞齐康伍余元卜顾孟平黄和穆萧尹姚邵湛汪祁毛禹狄米贝明臧计伏成戴谈宋茅庞熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄"
    "危江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万支柯昝管卢莫"
    "经房裘缪干解应宗丁宣邓郁单杭洪包诸左石崔吉钮龚程嵇邢滑裴陆荣翁荀羊惠甄曲封储靳段焦巴牧隗山谷车侯宓蓬全班仰秋仲"
    "伊宫宁仇栾甘厉戎祖武符刘景詹束龙叶幸司黎薄印白怀蒲邰从鄂索咸赖卓蔺屠蒙池乔阴能苍双闻"
    "党翟谭贡劳逄姬申扶堵冉宰雍桑桂濮牛寿通边扈燕冀尚农温别庄晏柴瞿阎慕连茹习艾鱼容向古易慎戈廖庾终暨居衡步都耿满弘"
    "匡国文寇广禄阙东欧殳沃利蔚越夔隆师巩聂晁勾敖融冷辛阚那简饶空曾"
)
_NAME = rf"(?:[{_SURNAME}][\u4e00-\u9fff]{{1,2}})"
_REPORTER = lazy(
    r"(?:报告人|联系人|报送人|信息员|填报人|经办人)(?:姓名)?[::]?(?P<name>[\u4e00-\u9fff·]{2,6}?)(?=电话|手机|联系"
    r"|办公|职务|审签|签发|[^\u4e00-\u9fff·]|$)"
)
_I_AM = lazy(
    rf"(?:我姓(?P<one>[{_SURNAME}])|我叫(?P<two>[\u4e00-\u9fff]{{2,3}})|(?P<old>老[{_SURNAME}]"
    rf"|小[{_SURNAME}])(?=[。，,.!]|$))"
)
_SIGNED = lazy(
    r"(?:审签人?|签发人?|审核人?|签批人?|审定)(?:领导)?[::](?P<name>[\u4e00-\u9fff·]{2,5}?)(?=[，。;、 \n)]|$|电话"
    r"|报告|联系|副?县长|副?书记)"
)
_PHONE = lazy(r"(?<![\d-])(?:\+?86[- ]?)?(?:1[3-9]\d{9}|0\d{2,3}[- ]?\d{7,8}|(?<=电话)[::]?\d{7,8})(?!\d)", begins=r"+\d:：")
_LONG = lazy(r"\d\d{6}")
"""As many digits as the shortest telephone number has in one run."""


class Who(NamedTuple):
    """Who reports, as the text says; spans by field name, in the original text."""

    unit: str | None
    reporter: str | None
    phone: str | None
    signed_by: str | None
    evidence: dict[str, tuple[Span, ...]]


def who(normal: Normal, turns: list[Turn]) -> Who:
    """The reporting unit and people of a text."""
    spans: dict[str, tuple[Span, ...]] = {}
    text = normal.text
    unit, at = _unit(text, turns)
    if unit:
        spans["unit"] = (normal.span(at, at + len(unit)),)
    reporter, at = _reporter(text, unit, turns)
    if reporter:
        spans["reporter"] = (normal.span(at, at + len(reporter)),)
    signed = _SIGNED.search(text)
    if signed:
        spans["signed_by"] = (normal.span(*signed.span("name")),)
    phone = _phone(text)
    return Who(unit, reporter, phone, signed["name"] if signed else None, spans)


def _unit(text: str, turns: list[Turn]) -> tuple[str | None, int]:
    if turns:
        return _speaker(text, turns)
    for pattern in (_LABEL, _BRACKET, _FROM):
        found = pattern.search(text[:4000]) if pattern is _LABEL else pattern.search(text[:200])
        if found and (unit := _LONGEST.match(found["unit"]) or _UNIT.match(found["unit"])):
            return unit[0], found.start("unit")
    tail_unit, at = _tail(text)
    opening = _OPENING.match(text[:200])
    if opening and not _ADDRESSED.match(opening["unit"]):
        unit = _LONGEST.match(opening["unit"]) or _UNIT.match(opening["unit"])
        if unit and len(unit[0]) >= len(opening["unit"]) - 3:
            return unit[0], opening.start("unit")
    for start in (text.find("\n", 0, 300) + 1, 0):
        colon = text.find(":", start, start + _LONGEST_LINE)
        said = _SAYS.search(text, max(start, colon - 18), colon) if colon > start else None
        if said and (unit := _UNIT.fullmatch(text, start, said.start()) or _LINE.fullmatch(text, start, said.start())) and not _ADDRESSED.match(unit[0]):
            return unit[0], start
    return tail_unit, at


def _speaker(text: str, turns: list[Turn]) -> tuple[str | None, int]:
    for turn in turns:
        if turn.clerk:
            continue
        said = text[turn.start : min(turn.end, turn.start + 120)]
        found = _SPEAKER.search(said)
        if found:
            return found["unit"], turn.start + found.start("unit")
        for piece in re.finditer(r"[^，。?!、\n]+", said):
            unit = _UNIT.match(piece[0])
            greeted = re.match(r"(?:你好|您好|喂|市|信息科|值班)", piece[0])
            if unit and not greeted and not _ADDRESSED.match(piece[0]) and not _NO_UNIT.search(piece[0]):
                return unit[0], turn.start + piece.start()
    return None, 0


def _tail(text: str) -> tuple[str | None, int]:
    last = _CONTACT.search(text, max(0, len(text) - 160))
    stop = last.start() if last else len(text)
    offset = max(0, stop - 60)
    end = text[offset:stop]
    found = _TAIL.search(end)
    if not found:
        return None, 0
    units = [u for u in _UNIT.finditer(found["tail"]) if u.start() == 0]
    if not units:
        return None, 0
    unit = units[-1]
    longer = _LONGEST.match(found["tail"])
    name = longer[0] if longer and len(longer[0]) > len(unit[0]) else unit[0]
    return name, offset + found.start("tail")


def _reporter(text: str, unit: str | None, turns: list[Turn]) -> tuple[str | None, int]:
    if not turns and (found := _REPORTER.search(text)):
        return found["name"], found.start("name")
    if turns:
        for turn in turns:
            if not turn.clerk and (found := _I_AM.search(text, turn.start, turn.end)):
                group = next(g for g in ("one", "two", "old") if found[g])
                return found[group], found.start(group)
        return None, 0
    end = text.rstrip("。 \n")
    tail = end[-24:]
    offset = len(end) - len(tail)
    cut = max(tail.rfind(c) for c in "。;!\n，")
    last = tail[cut + 1 :].strip()
    at = offset + tail.rfind(last) if last else 0
    if unit and unit in last:
        at += last.find(unit) + len(unit)
        last = last[last.find(unit) + len(unit) :]
    if re.fullmatch(_NAME, last) and cut >= 0:
        return last, at
    return None, 0


def _phone(text: str) -> str | None:
    text = text[:20_000]
    found = _PHONE.search(text) if _LONG.search(text) else None
    if not found:
        return None
    import phonenumbers

    raw = found[0].lstrip(":")
    try:
        number = phonenumbers.parse(raw, "CN")
    except phonenumbers.NumberParseException:
        return raw
    if not phonenumbers.is_possible_number(number):
        return raw
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
