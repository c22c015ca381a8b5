"""``run``, ``reload``, ``clock`` and ``demo``."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import click

from gateway.cli import Translated, TranslatedGroup, fail
from gateway.cli.show import as_json
from gateway.i18n import _


@click.command(cls=Translated)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]),
              help="How much goes to the log; default: as gateway.toml says.")  # fmt: skip
@click.pass_obj
def run(conf: Path, log_level: str | None) -> None:
    """Run the daemon in the foreground until SIGTERM; SIGHUP has it read the configuration again.

    \b
    Examples:
      gateway --conf /etc/jibao run
    """
    from gateway import activation

    # First of all: to import Twisted's endpoints takes systemd's variables out of the environment.
    activation.take()
    from gateway import __version__, logs, service
    from gateway.conf_book import Book
    from gateway.core.errors import StorageTrouble
    from gateway.faults import ConfError
    from gateway.secrets import SecretError, Secrets
    from gateway.store import StoreRefused

    book = Book(conf)
    try:
        config = book.load()
    except ConfError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        fail(_("faults in {conf}: {count}").format(count=len(error.faults), conf=conf))
    logs.set_up(config.log, config.timezone, level=log_level)
    logs.deafen()
    log = logging.getLogger("gateway.conf")
    for warning in config.warnings:
        log.warning("%s", warning)
    try:
        service.init_sentry(Secrets(config.secrets).optional(config.sentry_dsn), release=__version__)
        service.run_loop(lambda: service.Service(config, book).run())
    except (SecretError, service.AlreadyRunning, StoreRefused, StorageTrouble) as error:
        log.critical("%s", error)
        raise SystemExit(1) from None


@click.command(cls=Translated)
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def reload(conf: Path, as_json_: bool) -> None:
    """Have the running daemon read the configuration again and put in force what changed.

    \b
    Examples:
      gateway --conf /etc/jibao reload
      gateway --conf /etc/jibao reload --json
    """
    answer = _asked(conf, "reload", seconds=120)
    if as_json_:
        as_json(answer)
    else:
        _tell(answer)
    if not answer["reloaded"]:
        count = len(answer["faults"])
        fail(_("refused, faults: {count}; what was in force before goes on").format(count=count) if count else answer["error"])


@click.group(cls=TranslatedGroup)
def clock() -> None:
    """The clock by which deadlines are judged."""


@clock.command()
@click.pass_obj
def confirm(conf: Path) -> None:
    """Say that the wall clock is right after it was set: what is due is judged by it again. It goes on record.

    \b
    Examples:
      gateway clock confirm
    """
    off = _asked(conf, "clock_confirm")["off_by"]
    if off:
        click.echo(_("confirmed; it had been set by {seconds:.0f} s").format(seconds=off))
    else:
        click.echo(_("it was trusted already"))


def _asked(conf: Path, name: str, *, seconds: float = 30) -> Any:
    """The answer of the running daemon to what only it can do."""
    from gateway.asked import OperationError
    from gateway.control import ask

    path = socket_of(conf)
    try:
        return ask(path, name, {}, seconds=seconds)
    except ConnectionError:
        text = _("no daemon listens at {path}; start it with: gateway --conf {conf} run")
        return fail(text.format(path=path, conf=conf))
    except OperationError as error:
        return fail(str(error))
    except PermissionError:
        return fail(_("no right to {path}; allowed: members of the group that owns it").format(path=path))
    except OSError as error:
        return fail(_("the daemon does not answer: {error}").format(error=type(error).__name__))


def _tell(answer: dict[str, Any]) -> None:
    """What a reload did, or every fault that it was refused for."""
    for one in answer["faults"]:
        click.echo(f"{one['file']}:{one['line']}: {one['key']}: {one['fault']}")
    if not answer["reloaded"]:
        return
    for warning in answer["warnings"]:
        click.echo(warning, err=True)
    lines = [
        (_("changed"), answer["changed"] or [_("no change")]),
        (_("started"), answer["started"]),
        (_("stopped"), answer["stopped"]),
        (_("not up yet, tried again"), answer["not_up"]),
        (_("needs a restart"), answer["needs_restart"]),
    ]
    for name, values in lines:
        if values:
            click.echo(f"{name}: {', '.join(values)}")
    click.echo(_("in force: {digest} ({seconds} s)").format(digest=answer["conf"][:16], seconds=answer["seconds"]))


def socket_of(conf: Path) -> Path:
    """Where the daemon of ``conf`` listens, also while gateway.toml is not fit to be read: that is when one asks."""
    try:
        text = (conf / "gateway.toml").read_bytes().decode("utf-8", "replace")
    except OSError:
        text = ""
    found = re.search(r"""^[ \t]*state[ \t]*=[ \t]*(["'])(.+?)\1""", text, re.M)
    return conf / (found[2] if found else "state") / "control.sock"


@click.command(cls=Translated)
@click.option("--seconds", type=click.FloatRange(5, 600), default=120.0, show_default=True, help="How long to wait for each.")
@click.option("--stay", is_flag=True, help="Keep the SMSC and the mail sink up afterwards, until Ctrl-C.")
@click.pass_obj
def demo(conf: Path, seconds: float, stay: bool) -> None:
    """Send one real report through each of the four channels of the running daemon and watch it arrive.

    \b
    Examples:
      gateway init demo --demo && gateway --conf demo run &
      gateway --conf demo demo
    """
    from gateway.cli.link import load
    from gateway.demo import show
    from gateway.service import run_loop

    config = load(conf)
    if not config.demo:
        fail(_("{conf} is not a demo configuration; make one with: gateway init DIR --demo").format(conf=conf), 2)
    delivered = run_loop(lambda: show.main(config, seconds, click.echo, stay))
    raise SystemExit(0 if delivered == 4 else 1)
