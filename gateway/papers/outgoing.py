"""Papers for what is sent: made beside the loop, remembered for the next try, never in the way of a delivery.

Whatever goes wrong, the answer is None and an alarm, and the plain page goes out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from gateway import reading
from gateway.alarms import Alarms
from gateway.core.model import Delivery
from gateway.i18n import _
from gateway.papers import blocks, incident
from gateway.papers.making import wording
from gateway.papers.press import Form, NotPrinted, Press
from gateway.papers.standby import WHOLE
from gateway.papers.templates import TemplateFault
from gateway.settings import Config

KEPT = 32
"""Papers kept for a second try of their delivery, or for another office that gets the very same one."""
SHARE = 0.5
"""Of the time of one try, what making the paper may take at most."""


class Papers:
    """Makes the papers of deliveries. The settings come with each call, so that a reload is followed."""

    def __init__(self, alarms: Alarms, clock: Callable[[], datetime]) -> None:
        self._alarms = alarms
        self._clock = clock
        self._made: OrderedDict[tuple[str, Form, str], bytes | None] = OrderedDict()
        self._press: Press | None = None

    async def make(self, delivery: Delivery, form: Form, config: Config) -> bytes | None:
        """The pages; None where there are none. Never raises."""
        if not delivery.paper:
            return None
        key = (delivery.id, form, config.digest)
        if key in self._made:
            return self._made[key]
        data: bytes | None = None
        try:
            data = await self._paper(delivery, form, config)
        except NotPrinted as failed:
            self._alarm(delivery, _("the paper was not made ({why}): a plain page goes out").format(why=failed))
        except Exception as error:
            self._alarm(delivery, _("the paper was not made ({why}): a plain page goes out").format(why=type(error).__name__))
        self._made[key] = data
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        return data

    async def _paper(self, delivery: Delivery, form: Form, config: Config) -> bytes:
        def told(fault: TemplateFault) -> None:
            self._alarm(delivery, wording(fault))

        day = self._clock().astimezone(ZoneInfo(config.timezone))
        html = delivery.paper.get(WHOLE) or incident.html(delivery.paper, config, day, mark=delivery.id, on_fault=told)
        if reading.find_marking([blocks.text(html)]):
            raise NotPrinted(_("the template puts a marking into it"))
        rules = config.papers
        most = max(rules.paper.most_pages, rules.standby.most_pages) if WHOLE in delivery.paper else rules.paper.most_pages
        made = await self._at(config).make(html, form, most)
        return made.data

    def _at(self, config: Config) -> Press:
        """The press as conf wants it now; the same one as long as that does not change, so that papers wait for each other."""
        seconds = min(config.papers.press.seconds, config.dispatch.send_timeout * SHARE)
        wanted = (seconds, config.papers.press.memory_mb)
        if self._press is None or (self._press.seconds, self._press.memory_mb) != wanted:
            self._press = Press(*wanted)
        return self._press

    def _alarm(self, delivery: Delivery, why: str) -> None:
        self._alarms.raise_("paper", why=why, delivery=delivery.id, transport=delivery.transport)
