"""How a mention stands to those before it: 1人当场死亡、2人送医后死亡 adds, 仍有2人被埋 replaces, 其中2人 is a part of a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.reading.lazy import lazy
from gateway.reading.mention import Mention

_ENDS = lazy(r"[。;!?\n]")
_GOES_ON = lazy(r"[，、;]?(?:另|另有|还有|又有)?")
_KIND = lazy(r"(?:\d+|[一二两三四五六七八九十]+)[名位](?P<who>(?![死伤重轻受遇被当在因中失])[\u4e00-\u9fff]{2})")
_ASIDE = lazy(r"\([^()]{1,20}\)")
_BESIDE = lazy(r"(?:[送转][^，。;\n]{0,10})?，")
_ON_THE_SPOT = lazy(r"当场|现场")
_OF_THE_HURT = lazy(r"(?:(?:伤员|伤者|受伤人员)(?:当?中)?，?(?:又?有)?|[送转抬][^，。;\n]{0,10}(?:医院?|救治|抢救|治疗)，其中)$")
_REMAIN = lazy(r"还有|还剩|剩下|剩余|余下|其余|另有?")
_SINCE_FOUND = lazy(r"找到|发现|遗体|尸体|获救|救出|救起|生还|脱险|逃生|打捞|捞起")
_GENERAL = lazy(r"受了?伤|重伤|轻伤|负伤|(?<=[有带着])伤|[\d一二两三四五六七八九十人名个]伤$|伤[\d一二两三四五六七八九十]")
_IN_HOSPITAL = lazy(r"不治|送医|送往|医院|抢救|救治|途中")


def in_part(text: str, start: int) -> bool:
    """True inside brackets or a list that 其中 opened, before the next comma."""
    before = text[max(0, start - 40) : start]
    if "其中" not in before:
        return False
    cut = max(before.rfind(c) for c in "，。;\n)")
    return "其中" in before[cut + 1 :]


def placed(text: str, start: int, found: list[Mention], mention: Mention) -> Mention:
    """``mention`` after those ``found`` before it: 1人当场死亡、2人送医后死亡 adds, 仍有2人被埋 replaces, 另7人受伤 stands alone."""
    before = found[-1] if found else None
    if mention.role == "plain" and before and before.field == mention.field and text[before.end : mention.start] == "、":
        return mention._replace(role="increment")
    last_dead = next((m for m in reversed(found[-6:]) if m.field == "deaths"), None) if mention.field == "deaths" else None
    if last_dead is not None and _died_later(text, last_dead, mention):
        return mention._replace(part=True) if last_dead.part else mention._replace(role="increment", weak=False)
    if _one_more(text, next((m for m in reversed(found[-3:]) if m.field == mention.field), before), mention):
        return mention._replace(role="increment")
    if mention.field == "injured" and _another(text, before, mention):
        if before is not None and _alone(before):
            found[-1] = before._replace(role="plain", weak=False)
        return mention._replace(role="increment", weak=False)
    said = text[max(start, mention.start - 6) : mention.end]
    if mention.field in ("missing", "trapped") and _REMAIN.search(said):
        earlier = next((m for m in reversed(found) if m.field == mention.field), None)
        if earlier is not None and _SINCE_FOUND.search(text, earlier.end, mention.start):
            return mention._replace(role="update")  # 5人被卷走…找到2人遗体，还有3人失踪
    if mention.field in ("missing", "trapped") and mention.role in ("plain", "increment") and re.search("仍|尚", said):
        return mention._replace(role="update")
    beside = mention.role == "increment" and "另" in said and not re.search("又|新|再", said)
    late = before is not None and before.field != mention.field and before.role in ("update", "total")
    if beside and late and before is not None and not _ENDS.search(text, before.end, mention.start):
        return mention._replace(role="update")  # 死亡上升到11人，另有4人受伤: beside the dead, and as late as their number
    alone = mention.role == "increment" and not any(m.field == mention.field for m in found)
    return mention._replace(role="plain") if alone and re.search("另|还有", said) and not re.search("又|新|再", said) else mention


def _one_more(text: str, before: Mention | None, mention: Mention) -> bool:
    """一名妇女当场死亡，一名男子送医后死亡: two persons, each told of once in one sentence; 1名厨师烧伤，2名服务员扭伤: others."""
    if before is None or mention.role != "plain" or before.field != mention.field:
        return False
    between = _ASIDE.sub("", text[before.end : mention.start])
    one, other = _KIND.match(text, before.start, before.end), _KIND.match(text, mention.start, mention.end)
    if one and other and one["who"] != other["who"] and _BESIDE.match(between) and len(between) < 20 and not _ENDS.search(between) and "其中" not in between:
        return not (before.weak or mention.weak or before.part) and before.role in ("plain", "increment")
    if before.number.value != 1:
        return False
    alone = mention.number.value == 1 and text.startswith(("一名", "1名", "一位", "一个", "1个"), mention.start)
    return alone and not mention.weak and len(between) < 30 and not _ENDS.search(between)


def _alone(mention: Mention) -> bool:
    """True for a person whom no number counts: 驾驶人骨折."""
    return mention.weak and mention.number.value == 1 and mention.number.qualifier == "at_least"


def _another(text: str, before: Mention | None, mention: Mention) -> bool:
    """3人擦伤，驾驶人骨折: who is hurt in his own way beside those counted, or before them, is one more."""
    if before is None or before.field != "injured" or before.part or mention.part:
        return False
    between = text[before.end : mention.start]
    if _alone(before) == _alone(mention):  # 2人骨折，1人擦伤
        kinds = {text[max(m.start, m.end - 2) : m.end] for m in (before, mention)}
        return between in ("，", "、") and len(kinds) == 2 and not _general(text, before) and not _general(text, mention)
    if len(between) > 20 or _ENDS.search(between) or "其中" in between or mention.role not in ("plain", "increment"):
        return False
    return not (_general(text, before) or _general(text, mention))


def _general(text: str, mention: Mention) -> bool:
    """True where the words say that people are hurt, and not how."""
    return (mention.weak and not _alone(mention)) or _GENERAL.search(text, mention.start, mention.end) is not None


def _died_later(text: str, before: Mention, mention: Mention) -> bool:
    """2人当场死亡，1人送医后不治, or 9名伤员中，1人不治: those who died on the spot and those who died in hospital are not the same."""
    if mention.role != "plain" or before.field != "deaths" or mention.field != "deaths":
        return False
    of_the_hurt = _OF_THE_HURT.search(text, max(0, mention.start - 14), mention.start) is not None
    if not _GOES_ON.fullmatch(text[before.end : mention.start]) and not of_the_hurt:
        return False
    return bool(_ON_THE_SPOT.search(text, before.start, before.end) and _IN_HOSPITAL.search(text, mention.start, mention.end))


def has_whole(text: str, found: list[Mention], mention: Mention) -> bool:
    """Is there, just before, the count that 其中 takes this one from? 车上27人，其中13人死亡 tells of no other dead."""
    since = text.rfind("其中", 0, mention.start)
    whole = [m for m in found[-4:] if m.field == mention.field and m.end <= since and mention.start - m.end < 60]
    later = mention.field == "deaths" and _IN_HOSPITAL.search(text, mention.start, mention.end) is not None
    return any(not (later and _ON_THE_SPOT.search(text, m.start, m.end)) for m in whole)


def others_beside(text: str, winner: Mention, known: Sequence[Mention]) -> bool:
    """1名儿童跌落受伤；2名成人被打伤: people of another kind beside those counted, and no total; whether they are among them is not said."""
    kind = _KIND.match(text, winner.start, winner.end)
    if kind is None or winner.field != "injured" or winner.role != "plain" or len(known) < 2 or any(m.role != "plain" or m.part for m in known):
        return False
    rest = [m for m in known if m.number.value != winner.number.value]
    told = [_KIND.match(text, m.start, m.end) for m in rest]
    return bool(told) and all(one is not None and one["who"] != kind["who"] for one in told)
