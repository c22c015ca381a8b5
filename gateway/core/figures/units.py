"""The rate of a unit (报送率) and its place among the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from gateway.core.duty.matter import Running
from gateway.core.figures import counting
from gateway.core.figures.model import Case, Judgements, Tally, Told, Unit
from gateway.core.obligations import Account

FIELDS: Mapping[tuple[str, str], str] = {
    ("迟报", "automatic"): "late", ("迟报", "confirmed"): "late_confirmed",
    ("漏报", "automatic"): "missed", ("漏报", "confirmed"): "missed_confirmed",
    ("误报", "automatic"): "false", ("误报", "confirmed"): "false_confirmed",
    ("疑似瞒报", "automatic"): "suspected", ("疑似瞒报", "confirmed"): "suspected",
    ("瞒报", "automatic"): "suspected", ("瞒报", "confirmed"): "concealed",
}  # fmt: skip
"""Where a judgement is counted. Concealment is stated only where a person confirmed it."""


def reckon(
    real: Sequence[Case],
    clocked: Sequence[tuple[Case, Running]],
    told: Sequence[Told],
    accounts: Sequence[Account],
    judged: Mapping[str, Judgements],
    *,
    rate_clock: str,
    names: Mapping[str, str],
) -> tuple[Unit, ...]:
    """Every registered unit in the order of the directory, then those that only the incidents name; each with its rank."""
    responsible: dict[str, list[Case]] = defaultdict(list)
    for case in real:
        for name in case.matter.responsible if case.matter is not None else ():
            responsible[name].append(case)
    fates: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for case, one in clocked:
        if one.clock == rate_clock and case.matter is not None:
            for name in case.matter.responsible:
                fates[name][counting.fate(case, one)].append(case.number)
    reports: dict[str, list[Told]] = defaultdict(list)
    for each in told:
        if each.unit:
            reports[each.unit].append(each)
    owing: dict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        owing[account.unit].append(account)
    everybody = dict.fromkeys((*names, *sorted({*responsible, *fates, *owing})))
    made = [
        _unit(name, names.get(name, ""), responsible.get(name, ()), fates.get(name, {}), reports.get(name, ()),
              owing.get(name, ()), judged.get(name, Judgements()))
        for name in everybody
    ]  # fmt: skip
    return tuple(ranked(made))


def _unit(
    name: str,
    county: str,
    cases: Sequence[Case],
    fates: Mapping[str, Sequence[str]],
    told: Sequence[Told],
    accounts: Sequence[Account],
    judged: Judgements,
) -> Unit:
    in_time = counting.of((*fates.get("in_time", ()), *fates.get("excused", ())))
    late = counting.of((*fates.get("late", ()), *fates.get("open", ())))
    # What goes on is owed later: only what has come of it counts yet.
    done = sum(min(one.sent, one.owed) for one in accounts)
    owed = sum(min(one.sent, one.owed) if one.state == "due" else one.owed for one in accounts)
    due, came = in_time.count + late.count + owed, in_time.count + done
    measured = ((case.number, (case.matter.unit_at - case.matter.start).total_seconds() / 60) for case in cases
                if case.matter is not None and case.matter.unit_at is not None and not case.matter.estimated)  # fmt: skip
    return Unit(
        unit=name, county=county, reports=counting.reports(told), responsible=counting.tally(cases), in_time=in_time, late=late,
        pending=counting.of(fates.get("running", ())), owed=owed, owed_done=done, due=due, done=came, rate=percent(came, due),
        judged=judged, to_report=counting.spread((number, max(0.0, took)) for number, took in measured),
    )  # fmt: skip


def percent(done: int, due: int) -> float | None:
    """done ÷ due in percent, one decimal, never rounded up to what was not reached; None where nothing was due."""
    return None if due == 0 else done * 1000 // due / 10


def ranked(made: Sequence[Unit]) -> list[Unit]:
    """By rate, then by how much was due, then by the order given; equals share a rank. What had nothing due has none."""
    placed = sorted((one for one in made if one.rate is not None), key=lambda one: (-(one.rate or 0), -one.due))
    ranks: dict[str, int] = {}
    for place, one in enumerate(placed):
        before = placed[place - 1] if place else None
        same = before is not None and (before.rate, before.due) == (one.rate, one.due)
        ranks[one.unit] = ranks[before.unit] if same and before is not None else place + 1
    return [replace(one, rank=ranks.get(one.unit)) for one in made]


def judgements(found: Mapping[str, Iterable[str]]) -> Judgements:
    """Heaps of incident numbers as ``Judgements``; what was missed is not late besides."""
    sets = {name: set(numbers) for name, numbers in found.items()}
    missed = sets.get("missed", set()) | sets.get("missed_confirmed", set())
    for name in ("late", "late_confirmed"):
        if name in sets:
            sets[name] -= missed
    if "late" in sets:
        sets["late"] -= sets.get("late_confirmed", set())
    if "missed" in sets:
        sets["missed"] -= sets.get("missed_confirmed", set())
    return Judgements(**{name: counting.of(numbers) for name, numbers in sets.items()})


def all_of(found: Iterable[Judgements]) -> Judgements:
    """Everybody's together, each incident once for each kind."""
    heaps: dict[str, set[str]] = defaultdict(set)
    for one in found:
        for name in Judgements.__struct_fields__:
            tally: Tally = getattr(one, name)
            heaps[name].update(tally.incidents)
    return Judgements(**{name: counting.of(numbers) for name, numbers in heaps.items()})
