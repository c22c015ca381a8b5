"""``audit`` and ``unseal``: the record, and what was sealed away."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.audit.heads import Signer

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
    from gateway.conf_load import load as load_conf
    from gateway.faults import ConfError
    from gateway.host import Host

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
@click.option("--witness", "witnesses", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A file with signed heads; finds a log that was cut off or written anew as a whole.")  # fmt: skip
@click.option("--key", help="The verifier key of the witness; default: of this host's own key.")
@click.pass_obj
def verify(conf: Path, files: tuple[Path, ...], witnesses: tuple[Path, ...], key: str | None) -> None:
    """Check the chain; name the first line that does not fit. Rotated files are taken in their order.

    \b
    Examples:
      gateway audit verify
      gateway audit verify audit.jsonl.1 audit.jsonl
      gateway audit verify --witness /mnt/other/audit-head
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
    if witnesses:
        _witnessed(conf, found, witnesses, key)
    click.echo(
        _("{lines} lines in order, from place {first} to {last}").format(lines=result.lines, first=result.first, last=result.last)
    )


def _witnessed(conf: Path, files: list[Path], witnesses: tuple[Path, ...], key: str | None) -> None:
    """Compare the log with the heads that witnesses hold."""
    from gateway.audit import outside

    try:
        name, public = outside.parse_key(key or _signer(conf).verifier_key)
        outside.check_files(files, outside.read_witness(witnesses, name, public))
    except (outside.Wrong, OSError) as error:
        fail(str(error))


@audit.command()
@click.option("--replace", is_flag=True, help="Make a new key although there is one; older heads need the old verifier key.")
@click.pass_obj
def keygen(conf: Path, replace: bool) -> None:
    """Make the key that signs the record's heads, unless there is one, and print its verifier key.

    \b
    Examples:
      gateway audit keygen > verifier-key.txt
    """
    from gateway.audit.heads import generate
    from gateway.cli.link import load

    config = load(conf)
    path = config.secrets / config.audit.key
    if replace or not path.exists():
        try:
            config.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_name(path.name + ".new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
                file.write(generate())
            fresh.replace(path)
        except OSError as error:
            fail(_("cannot write {file}: {error}").format(file=path, error=error.strerror), 2)
    click.echo(_signer(conf).verifier_key)


def _signer(conf: Path) -> Signer:
    from gateway.audit.heads import NoKey, Signer
    from gateway.cli.link import load
    from gateway.secrets import SecretError, Secrets

    config = load(conf)
    try:
        return Signer(config.audit.origin, Secrets(config.secrets).read(config.audit.key))
    except (SecretError, NoKey) as error:
        return fail(str(error))


@audit.command()
@click.pass_obj
def checkpoint(conf: Path) -> None:
    """Print the signed head of the record as its files stand, to be kept elsewhere: on paper, on another computer.

    \b
    Examples:
      gateway audit checkpoint > head-2026-11-30.txt
    """
    from gateway.audit import outside
    from gateway.audit.heads import lines_of
    from gateway.audit.verify import rotated
    from gateway.cli.link import do

    tree = outside.Tree(algorithm=do(conf, "record_end")["tree"])
    for line in lines_of(rotated(_log(conf, None))):
        tree.append(outside.leaf_hash(line, tree.algorithm))
    click.echo(_signer(conf).note(tree.size, tree.root(), tree.algorithm), nl=False)


@audit.command()
@click.option("--incident", "number", required=True, help="The incident whose lines are proven.")
@click.option("--since", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A head that the other side holds.")
@click.pass_obj
def export(conf: Path, number: str, since: Path | None) -> None:
    """Print the lines of an incident with the proof that they are in the record, for a third party, as JSON.

    The other side checks it with gateway-audit-verify --key VERIFIER-KEY --proof FILE.

    \b
    Examples:
      gateway audit export --incident 123 > incident-123.proof.json
    """
    from datetime import datetime

    from gateway.asked import OperationError, incident_number
    from gateway.audit import outside
    from gateway.audit.chain import tail as end
    from gateway.audit.heads import lines_of, proof
    from gateway.audit.verify import rotated
    from gateway.cli.link import do
    from gateway.cli.show import as_json

    try:
        wanted = incident_number(number, datetime.now())
    except OperationError as error:
        fail(str(error), 2)
    lines = lines_of(rotated(_log(conf, None)))
    mark = f'"incident":"{wanted}"'.encode()
    places = [found.seq for line in lines if mark in line and (found := end(line + b"\n")) is not None]
    if not places:
        fail(_("the record has no line of incident {number}").format(number=wanted))
    try:
        older = since.read_text("utf-8") if since else None
        made = proof(lines, places, _signer(conf), do(conf, "record_end")["tree"], older)
    except outside.Wrong as wrong:
        fail(str(wrong))
    as_json(made)


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
