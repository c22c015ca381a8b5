"""What can be said of people in a report: who died, is hurt, is missing; the words, and how each of them takes its number.

A predicate is *nominal* where it stands for people (失踪者, 被困人员, 受伤的学生): then a far number before it counts somebody
else, the rescuers. It is *transitive* where its victims follow (打伤3人): then a number before it counts the doers.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.reading.lazy import lazy

_N = r"\d一二两俩仨三四五六七八九十百千万余多"
_WORDS: dict[str, tuple[str, ...]] = {
    "gone": ("(?:死亡|遇难)(?:者|人员)?(?:和|或|及|与|以及)?失踪", "失踪(?:和|或|及|与|以及)?(?:死亡|遇难)"),
    "dying": ("不行了",),
    "casualties": ("死伤", "伤亡", "死亡(?:和|或|及|与)受伤", "受伤(?:和|或|及|与)死亡"),
    "deaths": (
        "死亡(?!率|原因|时间|证明|赔偿|线|地点|现场|威胁|名单)", "遇难", "身亡", "丧生", "丧命", "罹难", "毙命", "殒命", "亡故", "殉难", "殉职", "牺牲",
        "被害(?!人|者)", "遇害", "葬身", "被杀", rf"(?<=路上)走了(?=[{_N}])", "(?:[溺坠病猝身])亡",
        "没(?:能)?救过来", "没救活", "没抢救过来", "抢救无效", "(?:医治无效|救治无效|不治身亡|不治)", "没气了?", "去世", "离世", "逝世", "离开了?人世", "而亡", "命丧",
        "无一生还", "无人生还", "无一幸免", "(?:没有|没|无)了?生命(?:体征|迹象)", "失去了?生命(?:体征)?", "(?:没有|无)呼吸", "(?:呼吸停止|停止呼吸)", "自杀身亡",
        "[烧淹砸炸撞压砍捅打毒摔憋闷踩轧碾冻饿咬刺勒掐电触呛熏惨猝枪射击震埋溺杀致捂]死", "(?<![堵卡锁封焊钉])死了", "死于", "死在", "死的(?=[嘛吧是有还共现总大约\\d一二两三四五六七八九十])", "杀害", "枪杀",
        rf"(?<=[{_N}人名个例双])[死亡](?!者|刑|因|伤|亡|里逃)", rf"死(?=[{_N}俩仨])", "亡(?=[\\d一二两三四五六七八九十])", "没了(?=[，。、;!?\n]|$)",
    ),
    "seriously_injured": (
        "(?<!轻)重伤", "伤势(?:较|很|十分|非常)?(?:严?重|危重)", "伤得(?:特别|很|比较|较|挺|最|太|非常)?重", "伤情(?:较|很)?(?:严?重|危重)", "伤重(?!不治)", "受伤(?:较|很)重", "危重", "病危", "生命垂危", "严重受伤", "重度[烧烫灼]伤", "大面积[烧烫]伤", "特重", "重的(?=[一二两三四五六七八九十\\d，。、;]|$)", rf"(?<=[{_N}个名])重的",
        rf"(?<=[{_N}个人名])重(?=[，。、;)轻\d一二两三四五六七八九十\n]|$)",
    ),
    "light": ("轻伤", "轻微伤", "受轻伤", "伤势较轻", "皮外伤", "皮肉伤", rf"(?<=[{_N}个人名])轻(?=[，。、;)\n]|$)"),
    "injured": (
        "受伤", "轻重伤", "负伤", "致伤", "受?枪伤", "[烧烫灼砍炸砸擦摔刺打咬冻撞压划割挫抓跌击射震扭捅轧碾误杀电踩咬戳扎崴拉]伤(?!亡)", "[呛熏]着了?", "[磕碰]着(?:的?有|的?(?=[\\d一二两三四五六七八九十]))", "崴了?脚", "[砸击刺扎撞]中(?=[左右]?(?:头|背|胸|腹|腿|手|脚|肩|腰|脸|颈|要害))",
        "[砸撞压烧烫]着(?=[\\d一二两三四五六七八九十仨俩几])", "骨折", "骨裂", "吸入性?损伤", "(?<!皮)外伤(?!性|科)", "软组织损伤", "脑震荡", "[划割擦碰磕刮]破", "伤了", "(?<=[有带着])伤(?!亡|者|员|情|势|病|害|口)", "不同程度受?伤", "受了?伤", "挂彩", "缝了?[\\d一二两三四五六七八九十]{1,3}针", "中弹", "中枪",
        rf"(?<=[{_N}人名个])伤(?!亡|者|员|情|势|病|口|心)", rf"伤(?=[{_N}俩仨])", "伤的(?=[嘛吧是有还共现总大约\\d一二两三四五六七八九十])",
    ),
    "hit": ("被[烧烫砸夹撞炸咬]了?(?=[，。、;\\n]|$)",),
    "both": ("没有?上来", "未上来", "[未没]升井", "没有?出来", "未出来", "没能出来"),
    "missing": ("失踪", "失联", "走失", "下落不明", "[未没](?:有|能)?找[到着]", "尚未找到", "失去联[系络]", "联系不[上到]", "[未没](?:有|能)?联系上", "无法(?:取得)?联系", "音讯全无", "杳无音[信讯]"),
    "sought": (r"(?<=[人名个])(?:仍|还|正)在?(?:全力)?(?:搜寻|搜救|寻找|打捞)(?!队|人员|中心)",),
    "swept": ("冲走", "卷走", "冲跑"),
    "trapped": ("被困", "受困", "滞留(?:在)?(?:空中|高空|缆车|电梯|轿厢|车厢)", "悬[在停于]", "(?<=[人名个])(?:还|仍)?在(?:下面|里面|里头|底下|井下|废墟[里下中])(?=[，。、;!?\n]|$)", "被埋", "掩埋", "困在", "埋压", "被压"),
    "poisoned": ("中毒病例", "中毒患者", "中毒", "铅超标",),
    "ill": (
        "发病(?!率)", "患病", "染病", "呕吐", "腹泻", "腹痛", "拉肚子", "肚子[疼痛]", "上吐下泻", "恶心", "头[晕痛]", "抽搐", "发烧", "高烧", "发热", "高热", "皮疹", "咳嗽", "不适", "感染", "确诊", "病例", "症状", "麻木", "呕血", "昏睡", "中暑", "热射病", "晕厥", "吐(?=[了过,，、])",
        "不良反应",
    ),
    "treated": (
        "(?:送|转|在|到|往)[^，。、;\n]{0,14}?院[^，。、;\n]{0,6}?(?:抢救|救治|急救|治疗)", "送医(?!观察|检查)(?:抢救|救治|急救|治疗|院)?", "(?<=在)医院(?=[，。、;\n]|$)", "(?<=在[县市镇区旗])医院(?=[，。、;\n]|$)", "正在抢救", "抢救中", "送医院?的", "住院", "住进[^，。、;\n]{0,8}院", "入院", "就诊", "就医", "收治", "(?:住|躺)在[^，。、;\n]{0,10}院[里内中]?", "(?<=院)看[过病]", "送[到来]了?我们(?:这|医?院)[里儿边]?", "送(?:往|到|至|进|入)?[^，。、;\n]{0,14}?医院(?!(?:进行|做)?(?:检查|体检|观察|排查))", "昏迷",
    ),
    "evacuated": ("[往向][^，。;\\n]{1,3}撤", "后撤", "正在撤", "疏散", "转移", "撤离", "安置(?!费|补偿|款|房|问题|政策|待遇|协议|工作|小区)", "撤出", "撤走", "[叫喊][出起]来"),
    "affected": ("受灾(?!面积)", "受影响", "断粮", "饮水困难"),
}  # fmt: skip
_WEAK_WORDS: dict[str, tuple[str, ...]] = {
    "injured": ("伤员", "伤者"),
    "deaths": ("遗体", "尸体", "死者", "女尸", "男尸", "童尸", "浮尸", "焦尸"),
    "ill": ("患者", "病人", "病号", "病患"),
}


def _firsts(words: tuple[str, ...]) -> str:
    """The characters that an alternative can begin with: most places of a text hold none of them."""
    found = ""
    for word in words:
        bare = re.sub(r"^\(\?<[=!][^)]*\)", "", word).replace("(?:", "")
        found += bare[1 : bare.index("]")] if bare[0] == "[" else bare[0]
    return found


def _alternation(table: dict[str, tuple[str, ...]], more: str = "") -> str:
    firsts = "".join(sorted(set("".join(_firsts(words) for words in table.values()) + more)))
    return f"(?=[{firsts}])(?:" + "|".join(f"(?P<{name}>{'|'.join(words)})" for name, words in table.items()) + ")"


_PREDICATE = lazy(_alternation(_WORDS, "没无呼停遇医救治不没无送转在到往住躺昏后外向正重轻被滞悬往大特严走吸软联崴叫喊铅看磕碰砸击刺扎撞"))
_WEAK = lazy(_alternation(_WEAK_WORDS))
_PEOPLE = lazy(
    r"者|人员|人数|群众|工人|矿工|学生|师生|旅客|乘客|居民|村民|家属|民众|儿童|员工|职工|官兵|病人|患者|员|的(?![是有人\d一二两三四五六七八九十])"
)
_DOES = lazy(r"(?:[砸炸撞压砍捅打毒踩轧碾咬刺勒掐枪射击杀致烧]|)[死伤]|杀害|枪杀|遇害|死了|伤了|致伤")
_BEFORE_CAUSED = "人其嫌致免止防成称装能怕及除物"
_CAUSATIVE = lazy(r"(?:致人|致其|涉嫌.{0,4}致|涉嫌|避免|防止|以防|预防|未造成|排除(?:食物)?|自称|假装|可能|恐怕|危及)$")


class Predicate(NamedTuple):
    """What is said, in [start, end) of the text."""

    field: str
    start: int
    end: int
    nominal: bool
    transitive: bool
    weak: bool = False


def predicates(text: str, start: int, end: int) -> list[Predicate]:
    """What is said of people in [start, end): verbs, or the nouns for victims where there is no verb."""
    strong = []
    for match in _PREDICATE.finditer(text, start, end):
        field, (left, right) = match.lastgroup or "", match.span()
        if left > start and text[left - 1] in _BEFORE_CAUSED and _CAUSATIVE.search(text[max(start, left - 6) : left]):
            continue
        strong.append(Predicate(field, left, right, bool(_PEOPLE.match(text, right)), bool(_DOES.fullmatch(match[0]))))
    if any(p.field != "treated" for p in strong):
        return [p for p in strong if p.field != "treated" or text[p.end : p.end + 1].isdigit()]  # 住院6人中1人危重
    weak = [Predicate(m.lastgroup or "", *m.span(), True, False, True) for m in _WEAK.finditer(text, start, end)]
    return sorted([*strong, *weak], key=lambda p: p.start)
