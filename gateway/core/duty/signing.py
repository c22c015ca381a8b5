"""The sign-off (审签): a first report never waits for it; delivery upward does, by the chain that conf names for this degree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from msgspec.structs import replace

from gateway.core.duty import clocking
from gateway.core.duty.matter import Approval, Due, Effect, Given, Matter, Note, Send, Signing, Turn


class NotTheirs(ValueError):
    """Somebody signs what is not theirs to sign; the text says whose turn it is."""


def upward_clocks(given: Given) -> tuple[str, ...]:
    """The clocks that only a delivery upward stops."""
    return tuple(clock.id for clock in given.clocks if clock.stopped_by == "upward")


def gone_up(matter: Matter) -> bool:
    """Whether the level above has been told: then it must hear of a correction as well."""
    return matter.signing is not None and matter.signing.sent_at is not None


def open_(matter: Matter, given: Given, *, anew: bool = False) -> Turn:
    """Begin the sign-off of an incident that is reportable upward; ``anew`` after it was revised upward: the chain of its degree
    now, and the signatures of before count no longer once something has gone up."""
    chain = given.rules.chain(matter.level)
    before = matter.signing
    again = anew and (before is None or before.sent_at is not None or before.waived or before.chain != chain)
    if not chain or not given.rules.upward or (before is not None and not again):
        return matter, ()
    kept: tuple[Approval, ...] = ()
    if before is not None and before.sent_at is None and not before.waived:
        kept = tuple(one for one in before.given if one.level in chain)
        kept = tuple(one for one, level in zip(kept, chain, strict=False) if one.level == level)
    made = Signing(chain=chain, since=given.now, given=kept, again_at=given.now + timedelta(minutes=given.rules.sign_remind))
    matter = replace(matter, signing=made)
    return matter, tuple(_ask(given, made, "ask"))


def approve(matter: Matter, given: Given, by: str, wording: str, level: str = "", verified: bool = True) -> Turn:
    """One signature with its wording. ``level`` must be the one whose turn it is. With the last one it goes up.

    Raises ``NotTheirs``.
    """
    signing = matter.signing
    if signing is None or not signing.waits or not signing.level:
        raise NotTheirs("无待审签事项")
    if level and level != signing.level:
        signer = given.rules.signer(signing.level)
        raise NotTheirs(f"应由{signer.title if signer else signing.level}（{signing.level}）审签")
    due_level = signing.level
    data = {"level": due_level, "wording": wording, "verified": verified, "chain": "→".join(signing.chain)}
    note = Note(event="approved", by=by, data=data)
    signing = replace(signing, given=(*signing.given, Approval(level=due_level, by=by, at=given.now)))
    if signing.level:
        signing = replace(signing, again_at=given.now + timedelta(minutes=given.rules.sign_remind))
        return replace(matter, signing=signing), (note, *_ask(given, signing, "ask"))
    signing = replace(signing, sent_at=given.now, again_at=None)
    up = tuple(Send(to=office, form="report", duty="upward", because="审签后上报") for office in given.rules.upward)
    routed = Note(event="routed", data={"destinations": list(given.rules.upward), "why": "审签后上报"})
    return replace(matter, signing=signing), (note, routed, *up)


def waive(matter: Matter, given: Given, by: str, reason: str, which: tuple[str, ...] = ()) -> Turn:
    """Not for upward, by a named person with a reason. ``which`` names single clocks; empty: all that delivery upward stops."""
    chosen = which or upward_clocks(given)
    matter, notes = clocking.waive(matter, given, chosen, by, reason)
    if set(upward_clocks(given)) <= set(chosen) and matter.signing is not None and matter.signing.waits:
        matter = replace(matter, signing=replace(matter.signing, waived=True, again_at=None))
    return matter, notes


def unwaive(matter: Matter, given: Given, by: str, reason: str, clocks: tuple[str, ...], undoes: str) -> Turn:
    """Clocks that a person had freed are kept again, and what was not for upward waits for its signatures. Raises
    ``NotFreed``."""
    matter, notes = clocking.unwaive(matter, given, clocks, by, reason, undoes)
    signing = matter.signing
    if signing is None or not signing.waived or not set(upward_clocks(given)) <= set(clocks):
        return matter, notes
    signing = replace(signing, waived=False, again_at=given.now + timedelta(minutes=given.rules.sign_remind))
    return replace(matter, signing=signing), (*notes, *_ask(given, signing, "ask"))


def withdraw(matter: Matter, given: Given, by: str, reason: str, undoes: str) -> Turn:
    """The last signature is taken back by who gave it, as long as nothing has gone up. Raises ``NotTheirs``."""
    signing = matter.signing
    last = signing.given[-1] if signing is not None and signing.given else None
    if signing is None or last is None or not signing.waits or last.by != by:
        raise NotTheirs("只有审签人本人可在上报前撤回审签")
    signing = replace(
        signing, given=signing.given[:-1], again_at=given.now + timedelta(minutes=given.rules.sign_remind)
    )
    note = Note(event="approval_withdrawn", by=by, data={"level": last.level, "why": reason, "undoes": undoes})
    return replace(matter, signing=signing), (note, *_ask(given, signing, "ask"))


def falls_due(matter: Matter, given: Given) -> Iterator[Due]:
    """Reminders to whoever must sign next."""
    if matter.signing is not None and matter.signing.waits and matter.signing.again_at is not None:
        yield matter.signing.again_at, partial(_remind)


def _remind(matter: Matter, given: Given) -> Turn:
    signing = matter.signing
    assert signing is not None
    signing = replace(signing, again_at=given.now + timedelta(minutes=given.rules.sign_remind))
    return replace(matter, signing=signing), tuple(_ask(given, signing, "remind"))


def _ask(given: Given, signing: Signing, how: str) -> Iterator[Effect]:
    signer = given.rules.signer(signing.level)
    title = signer.title if signer else signing.level
    yield Note(event="asked", data={"of": title, "what": ["审签"], "how": how})
    for office in signer.offices if signer else ():
        yield Send(to=office, form="signing", duty="remind", values={"signer": title})
