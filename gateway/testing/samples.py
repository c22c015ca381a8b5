"""A small made-up city for tests of pure plugins: who is who, the moments that matter, and incidents nobody thinks of.

Every report holds the words of ``CANARY``, so that a plugin which repeats content is found out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.api import (
    Address,
    Attachment,
    Classification,
    Directory,
    Doubt,
    Figure,
    Incident,
    Match,
    Message,
    Moment,
    Occurred,
    Office,
    Person,
    Place,
    Report,
    Unit,
)
from gateway.core.calendar import Calendar
from gateway.testing.quiet import CANARY

EXAMPLE_OFFICES = {
    "committee_office": ("市委办信息科", "working"),
    "government_office": ("市政府办秘书二科", "working"),
    "confidential_bureau": ("市委机要局", "out"),
    "government_duty_room": ("市政府值班室", "out"),
    "committee_duty_room": ("市委政务值班室", "out"),
    "leading_group": ("处理突发事件领导小组办公室", "always"),
    "police": ("市公安局", "always"),
}
"""id → display name and hours of the example's offices."""

FIELDS = ("deaths", "injured", "missing", "trapped", "evacuated", "loss_yuan", "forest_mu")


def memory_directory(
    offices: Iterable[str] = EXAMPLE_OFFICES, *, ways: Iterable[str] = ("mail", "sms"), cleared: Iterable[str] = ("mail",)
) -> Directory:
    """A directory of ``offices`` (ids; those of the example have their Chinese names), each with one address for every
    transport of ``ways`` and one person, and of one registered unit."""
    made = []
    for number, id in enumerate(offices, 1):
        name, hours = EXAMPLE_OFFICES.get(id, (id, "always"))
        phone = f"+8613900000{number:03d}"
        addresses = {"sms": phone}
        mail = f"{id.replace('_', '-')}@gateway.test"
        made.append(
            Office(
                id=id,
                name=name,
                hours=hours,  # type: ignore[arg-type]
                role="department" if id == "police" else "office",
                persons=(Person(name=f"值班员{number}", phone=phone, mail=mail, senders=(phone, mail)),),
                ways=tuple(Address(transport=way, address=addresses.get(way, mail)) for way in ways),
                cleared=tuple(cleared),
            )
        )
    return Directory.of(made, [Unit(name="云台区政府", county="云台区", senders=("+8613800000002",))])


def example_calendar() -> Calendar:
    """Working hours [08:30,12:00) and [14:30,18:00) of 2026, with one holiday and one weekend day worked in exchange."""
    return Calendar(
        timezone="Asia/Shanghai",
        hours=((8 * 60 + 30, 12 * 60), (14 * 60 + 30, 18 * 60)),
        years=frozenset({2026}),
        holidays={date(2026, 10, 1): "国庆节"},
        workdays={date(2026, 10, 10): "国庆节"},
    )


def boundary_moments(calendar: Calendar | None = None) -> list[Moment]:
    """The instants at which routing changes, each with the second before and the second after: both ends of every interval
    of a working day, midnight, a weekend, a holiday, a day worked in exchange, the turn of a year nobody knows."""
    kept = calendar or example_calendar()
    days = [date(2026, 3, 6), date(2026, 3, 7), date(2026, 10, 1), date(2026, 10, 10), date(2026, 12, 31), date(2027, 1, 1)]
    minutes = sorted({0, 12 * 60 + 30, *(minute for interval in kept.hours for minute in interval)})
    # Asia/Shanghai knows no summer time, but a calendar of another zone may: count in UTC from the day's local midnight.
    found = []
    for day in days:
        probe = kept.moment(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
        midnight = datetime(day.year, day.month, day.day, tzinfo=probe.local.tzinfo)
        for minute in minutes:
            at = midnight + timedelta(minutes=minute)
            found += [kept.moment(at + timedelta(seconds=second)) for second in (-1, 0, 1)]
    return found


def sample_report(**changes: Any) -> Report:
    """A report with every sort of element; its text holds ``CANARY``."""
    made: dict[str, Any] = {
        "text": f"{CANARY}，造成2人死亡。",
        "kind": "初报",
        "occurred": Occurred(value="2026-03-05T22:30", precision="minute", qualifier="about", evidence=((0, 4),)),
        "place": Place(text="云台区新华路", county="云台区"),
        "deaths": Figure(value=2, evidence=((11, 12),)),
        "injured": Figure(value=None, qualifier="unknown"),
        "unit": "云台区政府",
        "measures": (CANARY,),
        "evidence": {"unit": ((0, 4),)},
    }
    return Report(**{**made, **changes})


def sample_message(**changes: Any) -> Message:
    """A message whose text holds ``CANARY``."""
    return Message(**{"text": f"{CANARY}，造成2人死亡。", "subject": CANARY, **changes})


def sample_incident(**changes: Any) -> Incident:
    """An open incident of one item, received in working hours."""
    made: dict[str, Any] = {
        "id": "01TESTINCIDENT0000000000000",
        "number": "2026-0123",
        "title": CANARY,
        "state": "open",
        "items": ("事故类-2",),
        "kinds": ("traffic",),
        "why": {"事故类-2": ("道路交通事故，死亡 2 人 ≥ 1 人",)},
        "report": sample_report(),
        "first_received_at": datetime(2026, 3, 6, 1, 0, tzinfo=UTC),
    }
    return Incident(**{**made, **changes})


def odd_reports() -> list[Report]:
    """Reports nobody thinks of: nothing stated, everything unknown, ranges, huge figures, a withdrawal, a drill, long text."""
    nothing = dict.fromkeys(FIELDS)
    unknown = {name: Figure(value=None, qualifier="unknown") for name in FIELDS}
    return [
        sample_report(),
        Report(text=""),
        sample_report(occurred=None, place=None, unit=None, kind=None, measures=(), evidence={}, **nothing),
        sample_report(**unknown),
        sample_report(deaths=Figure(value=0), injured=Figure(value=5, qualifier="range", low=3, max=5)),
        sample_report(deaths=Figure(value=10**9, qualifier="at_least"), loss_yuan=Figure(value=0.5, qualifier="nearly")),
        sample_report(occurred=Occurred(value="2026", precision="year"), place=Place(text="")),
        sample_report(correction=True, withdrawal=True, kind="续报", refers_to="2026-0001", cites=("事故类-2",)),
        sample_report(drill=True, sensitive=True, noise="notice"),
        sample_report(text=CANARY * 5000, measures=(CANARY,) * 100, next_steps=(CANARY,) * 100),
        sample_report(text="\x00\u202e𠮷\U0001f525\r\n", place=Place(text="\x00"), unit="\u202e"),
    ]


def odd_incidents() -> list[Incident]:
    """Incidents nobody thinks of: no item, a hundred, unknown ones, nothing read, marked sensitive, every state."""
    plain = sample_incident()
    hundred = tuple(f"事故类-{number}" for number in range(1, 101))
    states = ("open", "followed_up", "closed", "below_threshold", "drill", "merged")
    return [
        plain,
        sample_incident(items=(), kinds=(), why={}),
        sample_incident(items=hundred, kinds=tuple(f"kind_{number}" for number in range(100))),
        sample_incident(items=("无此条-99",), kinds=("no_such_kind",), why={}),
        sample_incident(kinds=("traffic", "fire", "traffic")),
        sample_incident(items=(), kinds=(), needs_person="the content could not be read", report=Report(text="")),
        sample_incident(sensitive=True, review=(Doubt(item=None, because="死亡人数不详"),), missing=("cause", "occurred")),
        sample_incident(title="", number="2026-123456", revision=1000, next_step="等待签收"),
        *(sample_incident(state=state) for state in states),
        *(sample_incident(report=report) for report in odd_reports()),
    ]


def odd_messages() -> list[Message]:
    """Messages nobody thinks of: empty, unread, with quotes and attachments, with control characters."""
    page = Attachment(name="\x00..\\页.tif", content_type="image/tiff", data=b"II*\x00")
    return [
        sample_message(),
        Message(text=""),
        Message(text="", unread="the attachment is encrypted", pages=3, attachments=(page,)),
        sample_message(quoted=CANARY, flags=("partial", "charset_repaired"), automatic=True, bulk=True),
        sample_message(text="\x00\u202e𠮷\r\n", subject="\r\nX: y"),
        sample_message(text=CANARY * 5000),
    ]


def odd_classifications() -> list[Classification]:
    """What the catalogue may have said before: nothing, one item, a hundred, only doubts."""
    hundred = tuple(Match(item=f"事故类-{number}", why=("道路交通事故，死亡 2 人 ≥ 1 人",)) for number in range(1, 101))
    return [
        Classification(),
        Classification(items=hundred[:1], kinds=("traffic",), rules="test"),
        Classification(items=hundred, sensitive=True, missing=("cause",)),
        Classification(review=(Doubt(item="事故类-2", because="死亡人数不详"), Doubt(item=None, because="由人核对"))),
    ]
