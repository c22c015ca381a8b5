"""``init``, ``check``: before anything runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from gateway.cli import Translated, fail
from gateway.cli.show import as_json
from gateway.i18n import _


@click.command(cls=Translated)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--demo", is_flag=True, help="Ready to run on loopback, with a made-up city.")
@click.option("--base-port", type=click.IntRange(1024, 65530), default=26000, show_default=True, help="First port of the demo.")
@click.option("--state", type=click.Path(path_type=Path), help="Where the store and the audit log live; default DIRECTORY/state.")
def init(directory: Path, demo: bool, base_port: int, state: Path | None) -> None:
    """Write a complete, commented configuration and fresh keys.

    \b
    Examples:
      gateway init /etc/jibao
      gateway init ./demo --demo --base-port 26000
    """
    from gateway import init as making

    try:
        making.write(directory, demo=demo, base_port=base_port, state=state)
        private = directory / "bureau-private.key"
    except making.InitError as error:
        fail(str(error))
    click.echo(_("configuration written to {directory}; keys in {secrets} (keep a copy of store-key in a safe place)").format(
        directory=directory, secrets=directory / "secrets"))  # fmt: skip
    if private.exists():
        click.echo(_("carry {path} to the confidential bureau's own machine and delete it here").format(path=private))
    if demo:
        text = _("console, once it runs: http://127.0.0.1:{port}/ account clerk, password in {file}")
        click.echo(text.format(port=base_port + 3, file=directory / "secrets" / "console-clerk"))
    click.echo(_("next: gateway --conf {directory} check").format(directory=directory))


@click.command(cls=Translated)
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def check(conf: Path, as_json_: bool) -> None:
    """Validate all of the configuration and every plugin; name every fault with file and line.

    \b
    Examples:
      gateway --conf /etc/jibao check
    """
    from gateway import roster_holes
    from gateway.conf_load import check as check_conf
    from gateway.faults import ConfError, Fault
    from gateway.host import Host
    from gateway.roster_text import FILE

    try:
        config = check_conf(conf, Host.load(conf))
    except ConfError as error:
        if as_json_:
            as_json([{"file": f.file, "line": f.line, "key": f.key, "fault": f.text} for f in error.faults])
        else:
            for fault in error.faults:
                click.echo(str(fault))
        fail(_("faults in {conf}: {count}").format(count=len(error.faults), conf=conf))
    now = datetime.now(ZoneInfo(config.timezone))
    holes = (Fault(FILE, 1, "roster", one.text, grave=False) for one in roster_holes.empty(config, now))
    warnings = [str(warning) for warning in (*config.warnings, *holes)]
    for warning in warnings:
        click.echo(warning, err=True)
    if as_json_:
        as_json({"ok": True, "digest": config.digest, "warnings": warnings})
        return
    click.echo(
        _("{conf} is in order: {channels} channels, {transports} transports, {items} catalogue items, {offices} offices").format(
            conf=conf,
            channels=len(config.channels),
            transports=len(config.transports),
            items=len(config.catalogue.items),
            offices=len(config.directory.offices),
        )
    )
