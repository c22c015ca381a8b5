"""``explain``: what would this message become, where would it go, and why."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.cli import Translated, fail
from gateway.cli.explained import lines
from gateway.cli.show import as_json
from gateway.core.errors import Malformed
from gateway.i18n import _

HEADERS = frozenset(
    (b"from", b"to", b"cc", b"date", b"subject", b"received", b"return-path", b"message-id", b"mime-version", b"content-type",
     b"in-reply-to", b"references", b"reply-to", b"sender", b"delivered-to", b"x-mailer")
)  # fmt: skip
"""Fields of RFC 5322 by which a mail in a file is known."""


@click.command(cls=Translated)
@click.argument("file", default="-", metavar="[FILE or -]")
@click.option(
    "--channel",
    type=click.Choice(["sms", "email", "fax", "phone"]),
    help="By which way it came; default sms, or email for a mail.",
)
@click.option("--at", "moment", help="When it came, ISO 8601; default now.")
@click.option("--sender", default="", help="Who sent it: number or address.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.option("--batch", is_flag=True, help="FILE holds one JSON object a line; they are one stream.")
@click.pass_obj
def explain(conf: Path, file: str, channel: str | None, moment: str | None, sender: str, as_json_: bool, batch: bool) -> None:
    """Dry run: what a message would become, where it would go and why. Writes nothing.

    \b
    Examples:
      echo "今日9时青山区民房起火，1人死亡" | gateway explain
      gateway explain --channel fax --at 2026-10-01T23:10 report.txt
      gateway explain --json --batch reports.jsonl
    \b
    A line of --batch: id, channel (sms, email, fax, phone), received_at (ISO 8601 with offset), sender,
    subject and text, or the raw form, which wins: raw_b64 (a mail) or pdus (SMS-DELIVER in hex, a list).
    """
    from gateway import explain as explaining
    from gateway import house
    from gateway.cli.link import load

    if batch and not as_json_:
        fail(_("--batch prints JSON lines: add --json"), 2)
    config = load(conf)
    made = house.build(config, bureau_public=explaining.throwaway_key())
    data = _bytes(file)
    try:
        if batch:
            for line in explaining.batch(made, data.decode("utf-8-sig").split("\n")):
                click.echo(line)
            return
        explainer = explaining.Explainer(made)
        at = _when(moment, config.timezone)
        shown = explainer.explain(_line(data, channel, at, sender))
        explainer.close()
    except (Malformed, UnicodeDecodeError) as fault:
        fail(str(fault))
    if as_json_:
        as_json(shown)
    else:
        _safe_output()
        titles = {clock.id: clock.title for clock in config.clocks}
        colour = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ
        for text in lines(shown, at, titles, colour=colour):
            click.echo(text)


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        return fail(_("cannot read {file}: {error}").format(file=file, error=error.strerror), 2)


def _when(text: str | None, timezone: str) -> datetime:
    zone = ZoneInfo(timezone)
    if text is None:
        return datetime.now(zone)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return fail(_("--at is not a time: {text}; allowed: 2026-03-05T22:30").format(text=text), 2)
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _is_mail(data: bytes) -> bool:
    """Whether it begins with two header fields of a mail, or with From alone: "Tel: …" of a report is none."""
    head = re.split(rb"\r?\n\r?\n", data[:4000], maxsplit=1)[0]
    names = [line.partition(b":")[0].strip().lower() for line in head.splitlines() if line[:1] not in (b" ", b"\t")]
    if not names or names[0] not in HEADERS:
        return False
    return names[0] == b"from" or len(HEADERS.intersection(names)) > 1


def _safe_output() -> None:
    """What the terminal's character set lacks is shown as an escape, and ends no command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _line(data: bytes, channel: str | None, at: datetime, sender: str) -> dict[str, Any]:
    """A mail is known by its header fields; anything else is text."""
    mail = _is_mail(data)
    kind = channel or ("email" if mail else "sms")
    line: dict[str, Any] = {"id": "1", "channel": kind, "received_at": at.isoformat(), "sender": sender}
    if kind in ("email", "fax") and mail:
        line["raw_b64"] = base64.b64encode(data).decode()
        return line
    try:
        line["text"] = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        line["text"] = data.decode("gb18030", "replace")
    return line
