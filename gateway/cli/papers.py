"""Papers as files: what ``incident N --paper`` and ``stats`` write."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from gateway.cli import fail
from gateway.cli.link import do_with, load
from gateway.i18n import _
from gateway.settings import Config


def of_incident(conf: Path, number: str, target: Path) -> None:
    """One incident as an official paper, by the ending of the file's name."""
    from gateway.papers import incident, making

    form = target.suffix.lower()
    if form not in (".docx", ".pdf"):
        fail(_("{file}: allowed: a name that ends in .docx or .pdf").format(file=target), 2)
    config = load(conf)
    said = do_with(config, "paper", number=number, form=form[1:])
    day = datetime.now(ZoneInfo(config.timezone))
    html = incident.html(said, config, day, on_fault=lambda fault: click.echo(making.wording(fault), err=True))
    write(word(config, html) if form == ".docx" else pages(html, config.papers.paper.most_pages), target)


def word(config: Config, html: str) -> bytes:
    """A paper as DOCX; ends the command where that cannot be made."""
    from gateway.papers import docx, making

    try:
        pictures = making.pictures(config, html)
        return docx.make(html, making.fonts(config), head_pt=config.papers.paper.head_pt, pictures=pictures)
    except ImportError as missing:
        raise SystemExit(
            fail(_("{name} is not installed: pip install 'jibao-gateway[papers]'").format(name=missing.name or "docx"))
        ) from None


def pages(html: str, most: int) -> bytes:
    """A paper as PDF; ends the command where that cannot be made."""
    from gateway.papers import press

    made = press.pages(press.Order(html=html, form="pdf", most=most))
    if made.reason:
        fail(_("no pages were made: {why}").format(why=made.reason))
    return made.data


def write(data: bytes, target: Path | None) -> None:
    """Into a file, or to stdout where none is named."""
    if target is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        # Papers name incidents: nobody else may read them, whatever the umask says, and no other file is followed.
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
    except OSError as error:
        fail(_("cannot write {file}: {error}").format(file=target, error=error.strerror), 2)
    click.echo(_("written to {file}").format(file=target), err=True)
