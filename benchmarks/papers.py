"""Figures and papers: ``python -m benchmarks.papers``. A year of 18,000 incidents is summarised, and one paper is made."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
COUNT = 18_000
INNER = """
import resource, sys, time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo
from gateway.core.figures import named
from gateway.host import Host
from gateway.papers import blocks, docx, making, xlsx
from gateway.conf_load import load
from gateway.stats import gather
from gateway.store.copying import Peek

config = load(Path("conf"), Host.load())
zone = ZoneInfo(config.timezone)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
peek = Peek(sys.argv[1])
found = peek.read_now(lambda tx: gather(tx, config, named("2026", zone), datetime.now(zone)))
took = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"| {found.figures.incidents.count} incidents of a year summarised | {took:.1f} s, {(peak - before) / 1024:.0f} MB more than before |")
began = time.perf_counter()
html = making.of_figures(config, "situation", found, named("2026", zone))
text = time.perf_counter() - began
began = time.perf_counter()
docx.make(html, making.fonts(config))
words = time.perf_counter() - began
began = time.perf_counter()
xlsx.make(found.figures, found.accounts, "2026")
print(f"| its report in words, as DOCX, its workbook | {text:.1f} s, {words:.1f} s, {time.perf_counter() - began:.1f} s |")
"""


def main() -> None:
    """Print the table."""
    from gateway.conf_load import load
    from gateway.host import Host
    from gateway.store import Store, StoreKeys
    from tests.papers.made import fill

    config = load(ROOT / "conf", Host.load())
    units = [(one.name, one.senders[0], one.county) for one in config.directory.units if one.role == "unit" and one.senders]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gateway.db"
        store = Store.open(url, StoreKeys(bytes(32)), lambda: datetime.now(UTC))
        fill(store, COUNT, units)
        store.close()
        print("| figure | measured |\n|---|---|", flush=True)
        subprocess.run([sys.executable, "-c", INNER, url], cwd=ROOT, check=True)
    _paper(config)


def _paper(config: object) -> None:
    import asyncio

    from gateway.core import outgoing, render
    from gateway.papers import incident, press
    from tests.papers.made import case, local

    made, _matter = case("2026-0123", local("2026-03-05T22:30"), local("2026-03-05T22:52"), "白水县委办")
    at = local("2026-03-05T22:52")
    values = render.incident_values(made, city="江州市", received_at=at, channel="email", sender="")
    html = incident.html(outgoing.paper_values(made, values), config, at)  # type: ignore[arg-type]

    async def both() -> None:
        machine = press.Press(60, 1024)
        for form in ("pdf", "tiff"):
            began = time.perf_counter()
            pages = (await machine.make(html, form, 20)).pages  # type: ignore[arg-type]
            print(f"| one paper, {pages} pages, as {form}, process started for it | {time.perf_counter() - began:.1f} s |")

    asyncio.run(both())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"| largest process that did it | {peak:.0f} MB |")


if __name__ == "__main__":
    main()
