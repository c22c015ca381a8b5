"""``plugins``: what is loaded; a new plugin project; the harness on a single file."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli import TranslatedGroup, fail
from gateway.cli.show import as_json, pad, safe, table
from gateway.i18n import _

KINDS = ("channel", "transport", "router", "reader", "classifier")


@click.group(cls=TranslatedGroup, invoke_without_command=True)
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_context
def plugins(ctx: click.Context, as_json_: bool) -> None:
    """What is loaded, from where, with which hooks.

    \b
    Examples:
      gateway plugins
      gateway plugins --json
      gateway plugins new river-gauge --kind channel
      gateway plugins test conf/plugins.d/line.py
    """
    if ctx.invoked_subcommand is not None:
        return
    from gateway.host import Host

    conf: Path = ctx.obj
    host = Host.load(conf if conf.is_dir() else None)
    shown = host.plugins()
    if as_json_:
        as_json(shown)
    else:
        rows = [[p["name"], "、".join(p["hooks"]), "、".join(p["kinds"]), p["source"], _(p["isolation"])] for p in shown]
        table([_("plugin"), _("hooks"), _("kinds"), _("from"), _("runs")], rows)
    for fault in host.faults:
        click.echo(str(fault), err=True)
    if host.faults:
        raise SystemExit(1)


@plugins.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="channel", show_default=True, help="What it is to be.")
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), default=Path("."), show_default=True,
              help="The folder in which the project's own folder is made.")  # fmt: skip
def new(name: str, kind: str, directory: Path) -> None:
    """Write the project of a new plugin: a package, its entry point, and tests with the harness that pass at once.

    \b
    Examples:
      gateway plugins new river-gauge
      gateway plugins new to-pager --kind transport --dir ~/src
    """
    from gateway.testing import scaffold

    try:
        project = scaffold.write(name, kind, directory)
    except scaffold.ScaffoldError as error:
        fail(str(error), 2)
    click.echo(_("project written to {project}; try it: cd {project} && python -m pytest").format(project=project))


@plugins.command("test")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--settings", "settings_file", type=click.Path(path_type=Path),
              help="A TOML file with its settings, as in conf/channels.d.")  # fmt: skip
@click.option("--replay", "captures", type=click.Path(path_type=Path), multiple=True,
              help="A message captured with: gateway message ID --capture FILE. May be given more than once.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=30.0, show_default=True, help="The longest a check may take.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
def test(file: Path, settings_file: Path | None, captures: tuple[Path, ...], seconds: float, as_json_: bool) -> None:
    """Run the harness on a plugin that is one file: every class of every hook, one line per check.

    \b
    Examples:
      gateway plugins test conf/plugins.d/line.py
      gateway plugins test line.py --settings conf/channels.d/line.toml --replay report.json
    """
    from gateway.testing import supervise

    for path in (file, *([settings_file] if settings_file else []), *captures):
        if not path.is_file():
            fail(_("no file {path}").format(path=path), 2)
    counts = dict.fromkeys(("ok", "failed", "skipped"), 0)
    for line in supervise.checks(file, settings_file, captures, seconds):
        if line.result in counts:
            counts[line.result] += 1
        if as_json_:
            as_json(line.plain())
        elif line.result == "output":
            click.echo(f"    {safe(line.why)}")
        else:
            told = f"{pad(_(line.result), 8)}{line.kind}  {line.check}"
            click.echo(safe(told if not line.why else f"{told}: {line.why}"))
    text = _("{total} checks: {ok} ok, {failed} failed, {skipped} skipped")
    click.echo(text.format(total=sum(counts.values()), **counts), err=as_json_)
    if counts["failed"]:
        raise SystemExit(1)
