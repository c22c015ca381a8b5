"""``run`` and ``demo``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from gateway.cli import Translated, fail
from gateway.i18n import _


@click.command(cls=Translated)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True,
              help="How much goes to the log.")  # fmt: skip
@click.pass_obj
def run(conf: Path, log_level: str) -> None:
    """Run the daemon in the foreground until SIGTERM.

    \b
    Examples:
      gateway --conf /etc/jibao run
    """
    from gateway import __version__, service
    from gateway.cli.link import load
    from gateway.secrets import SecretError, Secrets

    logging.basicConfig(level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # These write addresses and peers' words at INFO; the log is for operators, not for content.
    for noisy in ("mail.log", "hypercorn.error", "hypercorn.access", "RapidOCR", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    config = load(conf)
    for warning in config.warnings:
        click.echo(str(warning), err=True)
    try:
        service.init_sentry(Secrets(config.secrets).optional(config.sentry_dsn), release=__version__)
        service.run_loop(lambda: service.Service(config).run())
    except (SecretError, service.AlreadyRunning) as error:
        fail(str(error))


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
