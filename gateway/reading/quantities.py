"""A number with what it counts: people, money, areas, houses; everything else is told apart so that it counts for nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gateway.core.model import Figure, Qualifier, Span
from gateway.reading.lazy import lazy
from gateway.reading.numerals import Number, numbers

What = Literal["people", "yuan", "mu", "houses"]

_UNITS = frozenset((
    "",
    *"亩公平m元块人多余间户栋幢处座所套名位口个例号死亡伤重轻失被中遇男女具民工村学矿群居师儿幼旅乘游官员职司农老顾美欧日英卢港韩，。;、)\n吧?!",
))  # how units begin
_MU = {
    "亩": 1.0,
    "公顷": 15.0,
    "平方公里": 1500.0,
    "平方千米": 1500.0,
    "平方米": 0.0015,
    "平米": 0.0015,
    "平方": 0.0015,
    "m2": 0.0015,
}
_AREA = lazy(r"(?:亩|公顷|平方公里|平方千米|平方米|平米|平方|m2)", begins="亩公平m")
_MONEY = lazy(r"(?:多|余)?(?:元|块钱|块|人民币)(?!月)", begins="多余元块人")
_HOUSES = lazy(r"(?:间|户|栋|幢|处|座|所|套)(?=(?:[\u4e00-\u9fff]{0,4}(?:房|屋|住宅|校舍))|$|[，。、;)倒垮坍不均已全]|受)", begins="间户栋幢处座所套")
_PEOPLE = lazy(
    r"(?:多|余)?(?:人(?![次民工]|行道)|名(?!单|称)|位(?!于|置)|口(?=人|之家|$|[，。、;)被全吃遇双煤])|个(?!多?(?:小时|月|乡|镇"
    r"|村(?!民)|县|区|苏木|嘎查|旗|省|市(?!民)|工地|点|班|车(?!主)|单位|企业|项目|路|部门|站|方面|煤|矿(?!工)|队(?!员)|组(?!员)|厂|店(?![员主])|井|养殖|场|圈|舍|小区|社区|池|罐|瓶|仓))"
    r"|例(?!如|会)|号人|号(?=[，。、吧呢]|工人|老|学生|村民|群众|居民|家长|业主|司机|民工|农民|职工|员工|商户|牧民|小伙|男|女|弟兄)|人次|死(?!亡率)|亡|伤|重伤|轻伤|失踪|被困|中毒|遇难|重(?=[，。、;)轻\d一二两三四五六七八九十]|$)"
    r"|轻(?=[，。、;)]|$)|男|女|具)"
)
_HEADLINE = lazy(r"(?:民工|工人|村民|学生(?!宿舍|会)|矿工|群众|居民(?![楼区小委])|师生|儿童(?![医公节])|幼儿(?!园)|旅客|乘客|游客|官兵|员工(?!宿舍)|职工(?![宿医大])|司机|农民|老人(?!院)|顾客|少年(?![宫犯])|男孩|女孩|孩子|孩童|小孩|学童|中学生|小学生|大学生|妇女(?!儿童)|男子|女子|船员|渔民|牧民|教师(?!节)|平民|士兵|警察|消防员|市民|路人|驴友|游人|矿难者)(?!代表)")
BARE = ("死", "亡", "伤", "重伤", "轻伤", "失踪", "被困", "中毒", "遇难", "重", "轻")  # verbs that stand for their unit: 2死5伤
_BREAK = lazy(r"[，。;!?、()\n和及与]")
_NO_UNIT = lazy(r"(?:死|亡|伤|失踪|中毒|被困|遇难|人口)$")
_AFTER = lazy("左右|上下|以上")
_FOREIGN = lazy(r"(?:美元|欧元|日元|英镑|卢比|港元|港币|美金|韩元|卢布)", begins="美欧日英卢港韩")
_PAIRS = lazy(
    r"(?=[一夫母父兄姐俩仨双两三四小老])(?:[两小老]口子|一对(?:夫妻|夫妇|母子|母女|父子|父女|情侣|兄弟|姐妹|双胞胎|老人)|(?:夫妻|夫妇|母子|母女|父子|父女|兄弟"
    r"|姐妹)(?P<n>[二两三四]|俩|仨)?人?"
    r"(?=[被均全在一溺死遇受触中双相当先不皆,，。])|[俩仨](?=[，。!?;)]|人|都|$)|双(?=亡|双(?:死|身|遇|丧|殒|溺|罹))|[两三四](?:姐妹|兄弟|母子|父子|母女|父女))", begins="一夫母父兄姐俩仨双两三四小老", needs=("夫", "母", "父", "兄", "姐", "俩", "仨", "双", "口子", "一对"))
_SEVERAL = lazy(r"(?=[多若部不大])(?<![\d十百千万余])(?:多|若干|部分|不少|大量)(?:名|人)", begins="多若部不大", needs=("多名", "多人", "部分", "不少", "若干", "大量"))
_SINGLE = lazy(
    r"(?=[司驾飞学教肇嫌凶新伴住店老房东户男女孕儿妻丈父母姐妹哥弟孩婴妇农婆少营收服事失受被当保摄厨有造骑路行乘租业工牧大小村居民教青依队战交法辅城医护本副导售押])(?<![名位个两双各多全些诸])(?<![\d一二两三四五六七八九十百几数多余]个)(?:司机|女生|男生|驾驶员|驾驶人|飞行员|学员|教练|肇事者|嫌疑人|凶手|住户|店主|老板|房东|户主|男子|女子|男孩|女孩|男童|女童|老人|老汉|老太|老妇|妇人|农妇|老翁|婆婆|少年|少女|女婴|男婴|女工|新娘|新郎|伴娘|孕妇|儿子|女儿|妻子|丈夫|父亲|母亲|姐姐|妹妹|哥哥|弟弟|孩子|婴儿|骑车人|骑手|骑行者|路人|行人|乘员|租客|房主|业主|工友|牧民|老头|老太太|大爷|大妈|小孩|店员|营业员|收银员|服务员|事主|失主|受害人|被害人|当事人|保安员|摄影师|厨师)(?!家属|亲属|家人|家长)"
    r"|(?:乘客|学生|工人|村民|居民|民警|教师|老师|男青年|女青年|青年|依姆|队员|战士)(?=[左右双]?(?:手|臂|胳膊|头部|脸|面部|腿|脚|腰|背|胸|腹|肩|颈|眼))"
    r"|(?<=[、和及与])(?:医生|护士|老师|教师|教练|保安|工人|村民|乘客|导游|售票员|押运员|副驾驶?)(?=(?:当场|不幸|均|都|双双)?(?:死|身亡|遇难|溺|受伤|受轻伤|受重伤))"
    r"|本人(?=[及和与、])"
    r"|(?:民警|交警|法警|辅警|法官|城管|医生|护士|老师|教师)(?=[^，。;\n]{0,10}[被遭][^，。;\n]{0,12}[伤死])"
    r"|(?<![没未否如若无要])有人员?(?=[^，。;\n有]{0,2}(?:死亡|遇难|身亡|丧生))|(?<!未)造成人员(?=死亡(?!或))"
    r"|(?<=[\u4e00-\u9fff])某某?(?=[，。(及和与被当在因、已死受重轻溺触从跳不昨今前晚早夜凌上下]|\d{1,2}[日时])"
    r"|其[子女妻夫父母弟兄妹姐孙儿](?=送|被|当场|经|抢救|死|身亡|溺|不治)|其(?=[砍打捅刺杀砸掐勒撞烧毒]死|杀害)", begins="司驾飞学教肇嫌凶新伴住店老房东户男女孕儿妻丈父母姐妹哥弟孩婴妇农婆少营收服事失受被当保摄厨有造某其骑路行乘租业工牧大小村居民教青依队战交法辅城医护本副导售押")
_NEGATED = lazy(r"(?:(?<![除是])非|(?<![是就也])不是)$")  # 坠楼者系1人非2人
_AND_ANOTHER = lazy(r"(?:、|以?及|和|与)(?!另|其[他余]|同?[车船机][上内])(?!(?:\d+|[一二两三四五六七八九十]+)余?[名个人位])[^，。;、!?\n]{1,8}?[人子女儿妻夫母父妇孙婆公员工民生者某]")
_UNSAID = lazy(r"[未没无否][^，。;\n]{0,6}$")  # 未通报有人员死亡
_BODY = lazy(r"[左右双]?(?:手|臂|胳膊|头|脸|面部|腿|脚|腰|背|胸|腹|肩|颈|脖|耳|眼|鼻|额)")
_ONE = lazy(
    r"[个一某](?:(?<=有个)(?=[\u4e00-\u9fff]{0,4}(?:人|工|老|男|女|孩|娃|学生))|(?<=[一某])(?=(?:男子|女子|老人|儿童|学生|村民|小孩|男童|女童|妇女|工人|司机|乘客)))")


class Quantity(NamedTuple):
    """``number`` of ``what`` in the normal text; ``end`` is past the unit. Areas are in 亩, money in yuan.

    ``first``: where a count begins that is a sum of several.
    """

    start: int
    end: int
    what: What
    number: Number
    unit: str
    first: int | None = None


def as_figure(number: Number, evidence: tuple[Span, ...]) -> Figure:
    """What is stated by ``number``: of a range the upper end, for who must act is told the worst that was said."""
    value, high = number.value, number.high
    if value is None:
        return Figure(value=None, qualifier="unknown", evidence=evidence)
    if number.vague:
        return Figure(value=None, qualifier="at_least", low=value, evidence=evidence)
    if high is None:
        return Figure(value=value, qualifier=number.qualifier, evidence=evidence)
    return Figure(value=high, low=value, max=high, qualifier=number.qualifier, evidence=evidence)


def quantities(text: str) -> list[Quantity]:
    """The quantities of ``text`` in order. What counts neither people, yuan, land nor houses is left out."""
    found = []
    taken = 0
    for number in numbers(text, _UNITS):
        if text[number.start - 1 : number.start] in ("非", "是") and _NEGATED.search(text, max(0, number.start - 3), number.start):
            continue
        quantity = _people_word(text, number) or _measured(text, number)
        if quantity is not None and quantity.start >= taken:
            found.append(quantity)
            taken = quantity.end
    return _merged(text, found, _worded(text))


def _merged(text: str, counted: list[Quantity], worded: list[Quantity]) -> list[Quantity]:
    """Both in order, without a worded one that lies in a counted one, or that a number before it counts (2名女司机)."""
    made: list[Quantity] = []
    following = iter(sorted(worded, key=lambda q: q.start))
    extra = next(following, None)
    for quantity in (*counted, None):
        while extra is not None and (quantity is None or extra.start < quantity.start):
            free = not made or made[-1].end <= extra.start
            if free and (quantity is None or extra.end <= quantity.start) and not _counted(text, made, extra):
                made.append(extra)
            extra = next(following, None)
        if quantity is not None:
            made.append(quantity)
    return made


def _counted(text: str, made: list[Quantity], extra: Quantity) -> bool:
    if extra.unit != "单" or not made or extra.start - made[-1].end > 40:
        return False
    return made[-1].what == "people" and not _BREAK.search(text, made[-1].end, extra.start)


def _people_word(text: str, number: Number) -> Quantity | None:
    if text[number.start : number.end] in ("俩", "仨"):
        return Quantity(number.start, number.end, "people", number, "俩")
    return None


def _measured(text: str, number: Number) -> Quantity | None:
    at = number.end
    following = text[at : at + 1]
    if following in _FOREIGN.begins and _FOREIGN.match(text, at):
        return None
    if following in _AREA.begins and (unit := _AREA.match(text, at)):
        factor = _MU[unit[0]]
        return Quantity(number.start, unit.end(), "mu", _scaled(number, factor), unit[0])
    if following in _MONEY.begins and (unit := _MONEY.match(text, at)):
        return Quantity(number.start, unit.end(), "yuan", number, unit[0])
    if following in _HOUSES.begins and (unit := _HOUSES.match(text, at)):
        return Quantity(number.start, unit.end(), "houses", _whole(number), unit[0])
    if text.startswith("口", at) and text[number.start - 1 : number.start] == "家":
        return Quantity(number.start, at + 1, "people", _whole(number), "口")
    if unit := _PEOPLE.match(text, at):
        qualifier: Qualifier = "over" if unit[0][0] in "多余" else number.qualifier
        counted = unit[0].lstrip("多余")
        end = at if counted in BARE else unit.end()
        if counted == "个" and text.startswith("人", end):
            end += 1
        after = _AFTER.match(text, end)
        if after:
            qualifier, end = ("at_least" if after[0] == "以上" else "about"), after.end()
        number = _whole(number)
        if qualifier != number.qualifier:
            number = number._replace(qualifier=qualifier)
        return Quantity(number.start, end, "people", number, counted)
    if following and text[number.start - 1 : number.start] not in tuple("初高大小中第年级幼") and _HEADLINE.match(text, at):  # 17民工中毒, as headlines have it
        return Quantity(number.start, at, "people", _whole(number), "名")
    if following in "，。;、)\n?!" and _NO_UNIT.search(text[max(0, number.start - 2) : number.start]):
        return Quantity(number.start, at, "people", _whole(number), "")
    if following in "，。;、)\n吧":  # also the end of the text: the unit is understood
        return Quantity(number.start, number.end, "yuan", number, "")
    return None


def _scaled(number: Number, factor: float) -> Number:
    def scale(value: float | None) -> float | None:
        if value is None:
            return None
        product = round(value * factor, 4)
        return int(product) if product == int(product) else product

    return number._replace(value=scale(number.value), high=scale(number.high))


def _whole(number: Number) -> Number:
    if number.value is not None and number.value != int(number.value):
        return number._replace(value=None, qualifier="unknown")
    return number


def _worded(text: str) -> list[Quantity]:
    found = []
    for match in _PAIRS.finditer(text):
        count = {"三": 3, "仨": 3, "四": 4}.get(match["n"] or match[0][0], 2)
        number = Number(match.start(), match.end(), count, None, "exact")
        found.append(Quantity(match.start(), match.end(), "people", number, "对"))
    for match in _SEVERAL.finditer(text):
        number = Number(match.start(), match.end(), None, None, "unknown")
        found.append(Quantity(match.start(), match.end(), "people", number, "多"))
    for match in _ONE.finditer(text):
        number = Number(match.start(), match.start() + 1, 1, None, "exact")
        found.append(Quantity(match.start(), match.start() + 1, "people", number, "一"))
    for match in _SINGLE.finditer(text):
        unsaid = match[0].startswith("有人") and _UNSAID.search(text, max(0, match.start() - 8), match.start())
        if not unsaid and text[match.end() : match.end() + 1] not in ("们", "等", "员"):
            left = match.start() - (text[match.start()] == "某")  # with the surname
            number = Number(left, match.end(), 1, None, "at_least")
            if _BODY.match(text, match.end()):  # 店员手臂划伤: one person
                number = number._replace(qualifier="exact")
            elif _AND_ANOTHER.match(text, match.end()) and not _SINGLE.search(text, match.end() + 1, match.end() + 12):
                number = number._replace(value=2, vague=True)  # 司机和他的妻子: two at the least, how many is not said
            found.append(Quantity(left, match.end(), "people", number, "单"))
    return found
