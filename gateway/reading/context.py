"""What the rest of the text makes of the mentions: whose they are, what was told before, who was found, who is meant by 送医.

A mention says what stands beside its number; here the sentences around it, and the whole text, have their say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from gateway.core.model import Figure
from gateway.reading.background import background, long_ago, rumours, statistics
from gateway.reading.denial import Denial
from gateway.reading.lazy import lazy
from gateway.reading.mention import Mention
from gateway.reading.normalise import Normal

_POISONING = lazy(r"误[饮服喝]|喝了?(?:下|进)?[^，。;]{0,3}(?:消毒|清洁|洗涤)|[毒假]酒|工业酒精|亚硝酸盐|农药|老鼠药|毒药|(?<![非除])(?<!除食物)中毒(?!性(?:休克|菌痢|肺炎|痢疾))|毒鼠强|投毒|下药|(?:[没未])(?:炒|煮|烧)熟|毒蘑菇|野生?(?:的)?蘑菇|[毒野]生?菌|误食")
_SYMPTOMS = lazy(r"呕吐|腹泻|腹痛|拉肚子|肚子[疼痛]|上吐下泻|恶心|头[晕痛]|发烧|发热|吐、|不适|发病|患病")
_EPIDEMIC = lazy(r"确诊|病例|疫情|传染|感染|流感|肺炎|霍乱|鼠疫")
_FOUND_SINCE = lazy(r"救起|获救|生还|救出|遗体|尸体|(?<![没未有能])找到|打捞|脱险")
_HURTS = lazy(r"[伤撞爆炸塌坠砸砍捅翻滑倒燃]|车祸|事故|地震|火灾|起火|触电|溺|殴")
_OWN_WOUND = lazy(r"骨折|骨裂|脑震荡|[烧烫灼]伤|[割划刺]")
_SENTENCE = 300
_HEADING = 60
_BEFORE = lazy(
    r"早些时候|早前(?!往)|此前(?:曾|有|的?报道|公布|通报|消息|一度)|先前(?:曾|有|的?报道|公布|通报)|稍早|起初(?:的)?(?:通报|公布|报道|消息)|最初(?:的)?(?:通报|公布|报道|消息)|第一次通报|前一次通报|当[日天](?:曾)?(?:通报|公布)的|曾(?:经)?(?:通报|公布|报道)|一度(?:传|报|称)"
)
_NOW = lazy(r"截[至止]|目前|至今|现[已有]|最新|[增升]至|更[正新]")
_FOUND_DEAD = lazy(
    r"[，]?[^。;\n\d]{0,20}?(?:(?:找到|发现|搜寻到|打捞出?)(?:了)?(?:其|他们?的?|她的?)?(?:遗体|尸体)|(?:遗体|尸体)[^，。;\n]{0,10}(?:找到|发现|打捞)|(?:证实|确认)已?(?:遇难|死亡))"
)
_FOUND_ALIVE = lazy(r"(?:(?![未没尚])[^。;\n人名]){0,30}?(?:找到|寻获|生还(?!可能|希望|几率|机会|者)|获救(?!的)|脱险)(?![^，。;\n]{0,4}[遗尸])")
_OUT = lazy(
    r"[，]?(?:(?![未没尚])[^，。;\n\d]){0,8}(?:出来了|救出|获救|脱困|脱险)(?![\d一二两三四五六七八九十])"
)
_LAST_FOUND = lazy(r"最后一[名具位个][^，。;\n]{0,14}(?:遗体|尸体|找到|发现|失踪|被困)[^。;\n]{0,24}(?:找到|发现|搜寻到|打捞|运出|挖出|清理)")
_DIED = lazy(
    r"当场死|(?:已|已经)(?:没有?|无)了?(?:生命(?:体征|迹象)|呼吸)|死了(?=[，。、;!?\n]|$)|(?:被|遭)[^，。;\n]{0,12}?[砍捅撞打砸压勒掐刺毒烧]死|(?:当场|不幸|抽搐|窒息|触电|休克|倒地|已经?|经抢救无效|抢救无效|送医后|随后)(?:死亡|身亡|遇难|没气|咽气)|[溺坠猝]亡|抢救无效(?!果)|不治(?!之症)|身亡|丧生|致[人其]?死亡?(?!亡)|没救过来|(?:被|遭)(?:[砍捅撞打砸压勒掐刺]死|杀害|枪杀)|(?<=人)没了(?=[，。、;!?\n]|$)"
)
_BEASTS = lazy(r"[牛羊猪鸡鸭鱼马狗驴]|牲畜|家禽|大象")
_NOT_DEAD = lazy(r"(?:[没未无防免止]|若|如果|谎称|自称|扬言|威胁|以为|险些|差点|几乎|是否)[^，。;\n]{0,10}$")


def of_this(text: str, said: list[Mention], denied: list[Denial], today: date | None) -> tuple[list[Mention], list[Denial]]:
    """Without what is told of other years and incidents, unless the text tells of nothing else."""
    if not said and not denied:
        return said, denied
    if hearsay := [*rumours(text), *statistics(text)]:
        closed = _marked(text, hearsay)
        said = [m for m in said if not closed[m.start]]
        denied = [d for d in denied if not closed[d.start]]
    other = background(text, today)
    if not other:
        return said, denied
    closed = _marked(text, other)
    ours = [m for m in said if not closed[m.start]]
    none = [d for d in denied if not closed[d.start]]
    if ours or none:
        return ours, none
    past = [span for span in other if long_ago(text, span, today)]
    return [m for m in said if not any(a <= m.start < b for a, b in past)], denied


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> bytearray:
    """One byte for each character of ``text``: 1 where one of ``spans`` covers it."""
    marked = bytearray(len(text))
    for left, right in spans:
        marked[left:right] = b"\1" * (right - left)
    return marked


def superseded(text: str, said: list[Mention]) -> list[Mention]:
    """早些时候通报42人遇难、33人受伤: what a sentence says was told before is old, if it is told anew elsewhere."""
    if _BEFORE.search(text) is None:
        return said
    reach: dict[str, tuple[int, int]] = {}
    for mention in said:
        first, last = reach.get(mention.field, (mention.start, mention.start))
        reach[mention.field] = (min(first, mention.start), max(last, mention.start))
    return [_told_before(text, mention, *reach[mention.field]) for mention in said]


def _told_before(text: str, mention: Mention, first: int, last: int) -> Mention:
    """``mention`` as old where its sentence says so; ``first`` and ``last`` are the places where its field is told of."""
    low = max(0, mention.start - _SENTENCE)
    start = max(low, *(text.rfind(c, low, mention.start) + 1 for c in "。!?\n"))
    told = _BEFORE.search(text, start, mention.start)
    if told is None or _NOW.search(text, told.end(), mention.start) is not None:
        return mention
    if first < start or last >= mention.end:
        return mention._replace(role="old")
    return _open(mention) if mention.field == "missing" else mention


def in_context(text: str, said: list[Mention]) -> list[Mention]:
    """Words that hint at a field: who vomits where people were poisoned is poisoned; who was swept off and no more is missing."""
    said = _with_the_rest(text, said)
    stated = {m.field for m in said if not m.weak and m.number.value is not None}
    if any(m.field == "poisoned" and m.number.value is not None and not m.weak and not _outdone(text, m, said) for m in said):
        said = [m for m in said if m.field not in ("treated",)]
    elif any(m.field in ("ill", "treated") for m in said) and _POISONING.search(text):
        said = [m._replace(field="ill", role="increment") if _others_too(text, said, m) else m for m in said]
        ill = any(m.field == "ill" and m.number.value is not None and not _outdone(text, m, said) for m in said)
        said = [m._replace(field="poisoned", weak=False) if m.field == ("ill" if ill else "treated") else m for m in said]
    elif "ill" not in stated and any(m.field == "treated" for m in said) and _SYMPTOMS.search(text):
        said = [m._replace(field="ill") if m.field == "treated" else m for m in said]
    if "ill" in stated or _EPIDEMIC.search(text):
        said = [m for m in said if m.field != "treated"]
    if any(m.field == "treated" for m in said):  # whoever was saved is looked after, not hurt
        looked_after = _FOUND_SINCE.search(text) or not _HURTS.search(text)
        said = [m for m in said if m.field != "treated" or not looked_after or "住院" in text[m.start : m.end]]
        said = [m for m in said if m.field != "treated" or "例" not in text[m.start : m.end]]  # cases are of an illness
        said = [m._replace(field="injured", weak=True) if m.field == "treated" else m for m in said]
    if any(m.field in ("missing", "trapped") for m in said):
        said = _found_again(text, said)
    if any(m.field == "missing" for m in said):
        all_found = _LAST_FOUND.search(text) is not None
        since = all_found or _FOUND_SINCE.search(text) is not None
        said = [_open(m) if m.field == "missing" and (all_found or (m.weak and since)) else m for m in said]
    return said


def _some_of_them(text: str, before: Mention, rest: Mention) -> bool:
    """送到我们这有十九个，骨折的有四个: a wound of its own kind beside those who came to hospital is that of some of them."""
    if before.field != "treated" or rest.field != "injured" or rest.weak or rest.role != "plain":
        return False
    between = text[before.end : rest.start]
    if len(between) > 16 or any(c in between for c in "。;!?\n") or "另" in between or "还有" in between:
        return False
    return (before.number.value or 0) > (rest.number.value or 0) and _OWN_WOUND.search(text, rest.start, rest.end) is not None


def _outdone(text: str, mention: Mention, said: list[Mention]) -> bool:
    """百余名学生腹泻 of a heading, where the text counts 124 of them in hospital."""
    loose = mention.number.qualifier != "exact" or text.startswith("百", mention.start)
    if not loose or "\n" in text[: mention.end] or mention.end > _HEADING:
        return False
    least = mention.number.value or 0
    most = least * (10 if mention.number.vague else 2)
    return any(m.field in ("treated", "ill") and least <= (m.number.value or 0) < most for m in said)


def _others_too(text: str, said: list[Mention], mention: Mention) -> bool:
    """两人上吐下泻，另外4人也住院: six fell ill."""
    if mention.field != "treated" or not any(m.field == "ill" and m.end <= mention.start and m.number.value for m in said):
        return False
    return text[max(0, mention.start - 4) : mention.start].endswith(("另外", "另有", "另"))


def _found_again(text: str, said: list[Mention]) -> list[Mention]:
    """1人失联，搜救队找到其遗体 tells of one dead; 3人失去联系，后从堤内找到 of none missing, wherever else the three are told of."""
    dead = {m.number.value for m in said if m.field == "missing" and _FOUND_DEAD.match(text, m.end)}
    alive = {m.number.value for m in said if m.field == "missing" and _FOUND_ALIVE.match(text, m.end)} - dead
    out = {m.number.value for m in said if m.field == "trapped" and _OUT.match(text, m.end)}
    made = []
    for mention in said:
        if mention.field == "missing" and mention.number.value in dead and _FOUND_DEAD.match(text, mention.end):
            made.append(mention._replace(field="deaths"))
        if mention.field != "trapped" or mention.number.value not in out:
            made.append(_open(mention) if mention.field == "missing" and mention.number.value in dead | alive else mention)
    return made


def _open(mention: Mention) -> Mention:
    return mention._replace(number=mention.number._replace(value=None, high=None))


def _with_the_rest(text: str, said: list[Mention]) -> list[Mention]:
    """9人住在医院里，其余5人皮外伤: those who are looked after and the rest are hurt, all of them; 9人送医，其中2人烧伤: the nine."""
    made = list(said)
    for at, (before, rest) in enumerate(pairwise(said)):
        looked_after = before.field in ("treated", "injured") and before.weak and rest.field in ("injured", "light")
        more = (before.number.value or 0) > (rest.number.value or 0)
        told = any(m.field == "injured" and not m.weak for m in said[max(0, at - 20) : at])
        in_brackets = text.startswith("(", before.end) and rest.start == before.end + 1 and rest.field in ("seriously_injured", "light")
        if before.field == "treated" and in_brackets and more and not told:
            made[at] = before._replace(field="injured", weak=False)  # 送医9人（1人重伤）
            continue
        if _some_of_them(text, before, rest) and not told:
            made[at], made[at + 1] = before._replace(field="injured", weak=False), rest._replace(part=True)
            continue
        if looked_after and more and not told and not rest.weak and text[before.end : rest.start].endswith("其中") and rest.start - before.end < 12:
            made[at], made[at + 1] = before._replace(field="injured", weak=False), rest._replace(part=True)
        if looked_after and not rest.weak and text.endswith("其余", 0, rest.start) and rest.start - before.end < 12:
            made[at] = before._replace(field="injured", weak=False, role="plain")
            made[at + 1] = rest._replace(field="injured", role="increment")
    return made


def someone_died(normal: Normal, denied: list[tuple[int, int]], skip: list[tuple[int, int]]) -> Figure | None:
    """骑车人当场死亡, and nobody is counted: one at least died, whoever it was."""
    text = normal.text
    other = [*denied, *skip, *rumours(text), *background(text)]
    for match in _DIED.finditer(text, 0, 2000):
        at = match.start()
        clause = max(0, at - 40, *(text.rfind(c, max(0, at - 40), at) + 1 for c in "，。;:、!?\n"))
        if any(a <= at < b for a, b in other) or _NOT_DEAD.search(text, max(0, at - 12), at):
            continue
        if not _BEASTS.search(text, clause, match.end()):
            return Figure(value=1, qualifier="at_least", evidence=(normal.span(clause, match.end()),))
    return None
