"""Which content may leave by which way (涉密管控), looked at once more at the moment of sending.

What is marked is sealed at intake and never becomes a delivery; what is sensitive is queued only for ways that conf clears. Conf
may have changed since, a person may have written a marked sentence into an instruction, a template may have been edited: what
stands in a delivery is judged here again, before any transport sees it.
"""

from __future__ import annotations

from gateway import reading
from gateway.core.directory import Directory
from gateway.core.model import Delivery
from gateway.i18n import _
from gateway.store.delivery_rows import DeliveryRow


def objection(directory: Directory, row: DeliveryRow, delivery: Delivery) -> str | None:
    """Why this delivery must not go by its transport; None where it may. The text holds nothing of the content."""
    if reading.find_marking([delivery.subject, delivery.text, delivery.short_text, *delivery.paper.values()]):
        return _("it carries a marking: nothing marked leaves by any transport")
    if row.cleared and not _cleared(directory, row):
        return _("it is sensitive, and {transport} is not cleared for it").format(transport=row.transport)
    return None


def _cleared(directory: Directory, row: DeliveryRow) -> bool:
    office = directory.office(row.destination)
    return office is not None and row.transport in office.cleared
