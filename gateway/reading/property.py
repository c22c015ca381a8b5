"""What was lost: money, houses that fell, forest and crops, each in the unit the rules use (yuan, houses, 亩)."""

from __future__ import annotations

from gateway.core.model import Figure
from gateway.reading.lazy import Pattern, lazy
from gateway.reading.normalise import Normal
from gateway.reading.quantities import Quantity, as_figure

_LOSS = lazy(r"直接(?:经济|财产)?损失|(?:经济|财产)损失|损失|车损|损毁价值|受损金额")
_SUMS = lazy(r"案值|涉案|金额|携|卷|公款|现金|价值|被抢|抢走|抢劫|劫走|骗|集资|资金|货值|存款|款|总值|财物|市值|本金|涉及|估价|估值|估算|粗算|折价|账[上户面]|少了|短缺|亏空|抢了|抢去|劫了|挪用|侵吞|贪污|基金|值$")
_FUND = lazy(r"[\u4e00-\u9fff]{1,3}款")
_GOODS = lazy(r"价值")
_CASH = lazy(r"现金")
_NOT_LOSS = lazy(r"(?:奖励|悬赏|冻结|余额|补偿标准|工资|赔偿|补助|慰问金|罚款|投资|追回|挽回|拨付|借款|贷款|年产值|预算)[^，。;]{0,6}$")
_FELL = lazy(r"倒塌|垮塌|坍塌|刮倒|冲倒|冲毁|震塌|震倒|倒房|塌|倒了|全倒|压塌|烧毁|焚毁|损毁|毁坏")
_ROOFS = lazy(r"房|屋|住宅|校舍|棚|户")
_SHEDS = lazy(r"(?:棚圈|圈舍|[羊牛猪鸡马]舍|[羊牛猪鸡马]圈|大棚|温室)$")
_FOREST = lazy(
    r"荒草|荒坡|草坡|松树|杨树|树木|森林|林子|林草|树林|林地|林木|山林|灌木|人工林|次生林|松林|林区|林场|经济林|用材林|防护林|草原|草场|荒山|后山|山火|林火"
    r"|林业|竹林|果林"
)
_BURNT = lazy(r"过火|烧|受害|毁|面积|火")
_VICTIM_FOREST = lazy(
    r"(?:受害|受灾|毁坏?|烧毁|损毁)[^，。;]{0,4}(?:森林|林地|林木|林)|(?:森林|林地|林木"
    r"|有林地)[^，。;]{0,4}(?:受害|受灾|毁坏|损毁)"
)
_CROP = lazy(
    r"农作物|作物|荞麦|麦田|麦苗|庄稼|小麦|玉米|水稻|稻田|大棚|蔬菜|油菜|果树|果园|棉花|土豆|马铃薯|大豆|烤烟|农田|耕地|秧苗"
    r"|受灾面积"
)
_HARMED = lazy(r"冻坏|冻死|淹|倒伏|毁坏|减产|打坏|砸坏")
_LOST = lazy(r"绝收|绝产|颗粒无收")
_GREW = lazy(r"(?:扩大|增加|上升|蔓延|发展|升|增|更正|核减|减少|降)(?:到|至|为)")
_SAID_BEFORE = lazy(r"(?:昨[天日晚]|前[天面期]|之前|此前|刚才|上次|早上|上午|原先|原来|初步)[^，。;\n]{0,3}[说报估称][^，。;\n]{0,10}$")
_CLAUSE_ENDS = lazy(r"[，。;!?\n]")
_AREA_ENDS = lazy(r"[，。;!?\n、()]")
_SENTENCE_ENDS = lazy(r"[。!?\n]")
_LINE_ENDS = lazy(r"[。\n]")


def property_figures(normal: Normal, counted: list[Quantity]) -> dict[str, Figure]:
    """Loss, houses, forest and crops as ``normal`` states them, by field name."""
    made: dict[str, Figure] = {}
    loss = _loss(normal, [q for q in counted if q.what == "yuan"])
    if loss is not None:
        made["loss_yuan"] = loss
    fell = [q for q in counted if q.what == "houses" and _houses_fell(normal.text, q)]
    if fell:
        made["houses"] = _figure(normal, [max(fell, key=lambda q: q.number.value or 0)])
    made.update(_areas(normal, [q for q in counted if q.what == "mu"]))
    return made


def _clause(text: str, place: int, ends: Pattern = _CLAUSE_ENDS) -> tuple[int, int]:
    left = place - len(ends.split(text[max(0, place - 80) : place])[-1])
    right = ends.search(text, place, place + 80)
    return left, right.start() if right else min(len(text), place + 80)


def _loss(normal: Normal, sums: list[Quantity]) -> Figure | None:
    text = normal.text
    losses: list[Quantity] = []
    others: list[Quantity] = []
    for quantity in sums:
        left, _ = _clause(text, quantity.start)
        before = text[left : quantity.start]
        if _NOT_LOSS.search(before):
            continue
        if _LOSS.search(before):
            losses.append(quantity)
        elif not quantity.unit and (quantity.number.value or 0) >= 10_000 and (_SUMS.search(before) or _loss_told(text, quantity)):
            others.append(quantity)  # 损失还在算，估摸着七八十万
        elif quantity.unit and (_SUMS.search(before) or _SUMS.match(text, quantity.end) or _FUND.match(text, quantity.end)):
            others.append(quantity)
    direct = [q for q in losses if "直接" in text[_clause(text, q.start)[0] : q.start]]
    if direct:
        return _figure(normal, [direct[-1]])
    cash = next((q for q in [*losses, *others] if _CASH.search(text, max(0, q.start - 8), q.start)), None)
    goods = next((q for q in [*losses, *others] if _GOODS.search(text, max(0, q.start - 6), q.start)), None)
    if cash and goods and 0 < goods.start - cash.end < 40:
        return _figure(normal, [cash, goods])
    if losses:
        return _figure(normal, [losses[-1]])
    return _figure(normal, [max(others, key=lambda q: q.number.value or 0)]) if others else None


def _loss_told(text: str, quantity: Quantity) -> bool:
    left, _ = _clause(text, quantity.start, _SENTENCE_ENDS)
    return _LOSS.search(text, left, quantity.start) is not None


def _houses_fell(text: str, quantity: Quantity) -> bool:
    left, right = _clause(text, quantity.start)
    after = text[quantity.end : min(right, quantity.end + 8)].partition("、")[0]
    hit = text[max(left, quantity.start - 12) : quantity.start] + after
    if _SHEDS.search(hit[: len(hit) - len(after)]):
        return False
    roofed = _ROOFS.search(text[max(left, quantity.start - 3) : quantity.start] + after) is not None
    return bool(_FELL.search(hit)) and (quantity.unit in ("间", "户", "栋", "幢") or roofed)


def _areas(normal: Normal, areas: list[Quantity]) -> dict[str, Figure]:
    text = normal.text
    forested = bool(_FOREST.search(text))
    made: dict[str, Figure] = {}
    for before, quantity in zip([None, *areas], areas, strict=False):
        # 由1200亩扩大到2000亩: what was stated last holds.
        grew = before is not None and quantity.start - before.end < 20 and _GREW.search(text, before.end, quantity.start)
        again = before is not None and quantity.start - before.end < 40 and _SAID_BEFORE.search(text, max(0, before.start - 16), before.start)
        if again and before is not None and (name := next((n for n, f in made.items() if normal.span(before.start, before.end) in f.evidence), "")):
            made[name] = _figure(normal, [quantity])
            continue  # 昨天说过火大概三千亩，今早飞了一遍，是五千二百亩
        left, right = _clause(text, quantity.start, _AREA_ENDS)
        around = text[max(left, quantity.start - 24) : min(right, quantity.end + 10)]
        sentence = text[slice(*_clause(text, quantity.start, _LINE_ENDS))]
        if _LOST.search(around):
            made["crop_lost_mu"] = _figure(normal, [quantity])
        elif _VICTIM_FOREST.search(around):
            made["forest_mu"] = _figure(normal, [quantity])
        elif _CROP.search(around) or (_CROP.search(sentence) and ("受灾" in around or _HARMED.search(sentence))):
            _keep(made, "crop_mu", _figure(normal, [quantity]), latest=bool(grew))
        elif ("过火" in around and quantity.unit in ("亩", "公顷", "平方公里")) or (forested and (_BURNT.search(around) or _FOREST.search(around))):
            _keep(made, "forest_mu", _figure(normal, [quantity]), latest=bool(grew))
    return made


def _keep(made: dict[str, Figure], name: str, figure: Figure, *, latest: bool) -> None:
    if latest or name not in made:
        made[name] = figure


def _figure(normal: Normal, parts: list[Quantity]) -> Figure:
    evidence = tuple(normal.span(q.start, q.end) for q in parts)
    stated = [q.number.value for q in parts if q.number.value is not None]
    if len(stated) < len(parts):
        return Figure(value=None, qualifier="unknown", evidence=evidence)
    if len(parts) == 1:
        return as_figure(parts[0].number, evidence)
    return Figure(value=sum(stated), qualifier="about", evidence=evidence)
