"""The lives of messages, deliveries and incidents: one table each, ``{state: {event: next state}}``, and one ``step``.

Whatever changes a state asks here first. The tables are published in docs/states.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Table = Mapping[str, Mapping[str, str]]


class NotAllowed(ValueError):
    """The table has no such step; the text names the state and the event or the state asked for."""


MESSAGES: Table = {
    "accepted": {
        "read": "read",
        "cannot_read": "needs_person",
        "mark": "quarantined",
        "same": "duplicate",
        "noise": "ignored",
    },
    "read": {"doubt": "needs_person", "mark": "quarantined", "same": "duplicate"},
    "needs_person": {"release": "read", "mark": "quarantined", "same": "duplicate", "noise": "ignored"},
    "ignored": {"release": "read", "doubt": "needs_person", "mark": "quarantined"},
    "duplicate": {"again": "accepted", "release": "read", "mark": "quarantined"},
    "quarantined": {},
}
"""A quarantined message has no way back: the store's copy of its key is gone."""

DELIVERIES: Table = {
    "waiting": {"lease": "sending", "late_yes": "delivered", "ack": "stopped", "stop": "stopped"},
    "sending": {
        "delivered": "delivered",
        "later": "waiting",
        "refused": "refused",
        "lease_lost": "waiting",
        "ack": "stopped",
        "stop": "stopped",
    },
    "delivered": {"acknowledge": "acknowledged", "receipt_failed": "waiting"},
    "refused": {"retry": "waiting"},
    "stopped": {"retry": "waiting"},
    "acknowledged": {},
}

INCIDENTS: Table = {
    "open": {
        "further": "followed_up",
        "close": "closed",
        "merge": "merged",
        "below": "below_threshold",
        "drill": "drill",
    },
    "followed_up": {"close": "closed", "merge": "merged", "below": "below_threshold", "drill": "drill"},
    "closed": {"reopen": "open", "further": "followed_up", "merge": "merged"},
    "below_threshold": {"reach": "open", "further": "followed_up", "close": "closed", "merge": "merged"},
    "drill": {"real": "open", "close": "closed", "merge": "merged"},
    "merged": {"split": "open"},
}

STARTS: Mapping[str, frozenset[str]] = {
    "messages": frozenset({"accepted", "duplicate"}),
    "deliveries": frozenset({"waiting"}),
    "incidents": frozenset({"open", "below_threshold", "drill"}),
}
"""The states in which a row may be born, by table."""

TABLES: Mapping[str, Table] = {"messages": MESSAGES, "deliveries": DELIVERIES, "incidents": INCIDENTS}


def step(table: Table, state: str, event: str) -> str:
    """The state after ``event``. Raises ``NotAllowed`` for a state that is unknown or an event it does not know."""
    try:
        return table[state][event]
    except KeyError:
        raise NotAllowed(f"no step {event!r} from state {state!r}") from None


def check(table: Table, state: str, new: str) -> None:
    """Raise ``NotAllowed`` unless some event leads from ``state`` to ``new``. Staying where one is is allowed."""
    if state not in table or new not in table:
        raise NotAllowed(f"unknown state {state if state not in table else new!r}")
    if new != state and new not in table[state].values():
        raise NotAllowed(f"no step from state {state!r} to {new!r}")


def steps(table: Table) -> Iterator[tuple[str, str, str]]:
    """Every (state, event, next state), in the order of the table."""
    for state, events in table.items():
        for event, new in events.items():
            yield state, event, new


def markdown() -> str:
    """The tables as they stand in docs/states.md."""
    parts = []
    for name, table in TABLES.items():
        born = ", ".join(sorted(STARTS[name]))
        lines = [f"## {name}", "", f"Born as: {born}.", "", "| state | event | next |", "|---|---|---|"]
        for state, events in table.items():
            if not events:
                lines.append(f"| {state} | – | – |")
            lines += [f"| {state} | {event} | {new} |" for event, new in events.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
