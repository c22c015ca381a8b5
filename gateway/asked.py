"""What operations have in common: how one says no, and how it finds the incident that is asked for."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.core.model import Incident
from gateway.i18n import _
from gateway.store import NotFound, Tx, incidents

if TYPE_CHECKING:
    from gateway.operations import Live


class OperationError(Exception):
    """The request cannot be carried out; the text says why and what is allowed."""


def incident_number(text: str, now: datetime) -> str:
    """〔2026〕0123, 2026-0123, 0123 and 123 → 2026-0123. Raises ``OperationError``."""
    found = re.fullmatch(r"\s*(?:[〔\[(]?(\d{4})[〕\])]?[-\s]*)?[〔]?(\d{1,6})[〕]?\s*", text)
    if found is None:
        raise OperationError(_("not an incident number: {text}; allowed: 〔2026〕0123, 2026-0123, 0123, 123").format(text=text))
    return f"{found[1] or now.year}-{int(found[2]):04d}"


def incident_of(live: Live, tx: Tx, number: str) -> Incident:
    """The incident of ``number`` as people write it. Raises ``OperationError`` where there is none."""
    wanted = incident_number(number, live.now())
    try:
        return incidents.get(tx, wanted)
    except NotFound:
        raise OperationError(_("no incident {number}").format(number=wanted)) from None
