"""``audit`` and ``unseal``: the record, and what was sealed away."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from gateway.cli import Translated, TranslatedGroup, fail
from gateway.i18n import _

SEALING = 0.5
"""Seconds in which a running daemon has surely written what it has sealed."""


@click.group(cls=TranslatedGroup)
def audit() -> None:
    """The record: who knew what and when.

    \b
    Examples:
      gateway audit tail -f
      gateway audit verify
    """


def _log(conf: Path, file: Path | None) -> Path:
    from gateway.cli.link import located

    return file or located(conf).audit_log


def _names(conf: Path) -> dict[str, str]:
    """The offices' names by id; none while the configuration has a fault: the record can be read all the same."""
    from gateway.host import Host
    from gateway.settings import ConfError
    from gateway.settings import load as load_conf

    try:
        return {office.id: office.name for office in load_conf(conf, Host.load(conf)).directory.offices}
    except ConfError:
        return {}


@audit.command()
@click.option("-f", "follow", is_flag=True, help="Go on as lines come, also over a rotation.")
@click.option("-n", "lines", type=click.IntRange(0), default=20, show_default=True, help="How many lines to begin with.")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Another audit log.")
@click.option("--raw", is_flag=True, help="The lines as they are.")
@click.pass_obj
def tail(conf: Path, follow: bool, lines: int, file: Path | None, raw: bool) -> None:
    """Show the end of the record, readable.

    \b
    Examples:
      gateway audit tail -f
      gateway audit tail -n 100 --raw
    """
    from gateway.audit.follow import tail as following
    from gateway.audit.text import render

    path = _log(conf, file)
    names = _names(conf)
    if not path.exists() and not follow:
        fail(_("no audit log at {path}").format(path=path))
    try:
        for line in following(path, lines=lines, follow=follow):
            click.echo(line if raw else render(line, names=names))
    except KeyboardInterrupt:
        raise SystemExit(0) from None


@audit.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_obj
def verify(conf: Path, files: tuple[Path, ...]) -> None:
    """Check the chain; name the first line that does not fit. Rotated files are taken in their order.

    \b
    Examples:
      gateway audit verify
      gateway audit verify audit.jsonl.1 audit.jsonl
    """
    from gateway.audit.text import why as told
    from gateway.audit.verify import rotated, verify_files
    from gateway.cli.link import do

    # The journal is asked before the file is read: what was sealed by then must be there, a moment later at the latest.
    end = do(conf, "record_end") if not files else {"sealed": 0, "running": False}
    written = end["sealed"]
    if end["running"]:
        time.sleep(SEALING)
    found = list(files) or rotated(_log(conf, None))
    if not found:
        fail(_("no audit log at {path}").format(path=_log(conf, None)))
    result = verify_files(found)
    if result.broken is not None:
        fail(_("{file}:{line}: {why}").format(file=result.broken.file, line=result.broken.line, why=told(result.broken.why)))
    if not files:
        last = result.last or 0
        if last < written:
            why = _("lines are missing at the end: {written} were written, the log ends at {last}").format(
                written=written, last=last
            )
            fail(_("{file}:{line}: {why}").format(file=found[-1], line=result.lines, why=why))
        if last and do(conf, "record_end", seq=last)["hash"] != result.head:
            why = _("log and journal disagree at {last}").format(last=last)
            fail(_("{file}:{line}: {why}").format(file=found[-1], line=result.lines, why=why))
    click.echo(
        _("{lines} lines in order, from place {first} to {last}").format(lines=result.lines, first=result.first, last=result.last)
    )


@click.command(cls=Translated)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="The bureau's private key."
)
def unseal(file: Path, key: Path) -> None:
    """Open an exported sealed message, on the confidential bureau's own machine; its bytes go to stdout.

    \b
    Examples:
      gateway message 01JABCDEF0123456789ABCDEFG --export > sealed.json
      gateway unseal sealed.json --key bureau-private > message.eml
    """
    from gateway.store.errors import Tampered
    from gateway.store.keys import read_key
    from gateway.store.seal import open_export

    try:
        sys.stdout.buffer.write(open_export(file.read_bytes(), read_key(key)).body)
    except (ValueError, Tampered) as error:
        fail(_("{file} cannot be opened with this key: {error}").format(file=file, error=type(error).__name__))
