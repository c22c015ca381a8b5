"""The command line. Each group of commands is a module of its own, imported only when one of its commands is asked for."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

from gateway import confine, i18n
from gateway.i18n import _

COMMANDS = {
    "init": "conf",
    "check": "conf",
    "plugins": "plugins",
    "run": "daemon",
    "reload": "daemon",
    "clock": "daemon",
    "demo": "daemon",
    "explain": "explaining",
    "simulate": "simulating",
    "catalogue": "catalogue",
    "roster": "roster",
    "incidents": "register",
    "incident": "acts",
    "handover": "shift",
    "messages": "register",
    "message": "register",
    "deliveries": "register",
    "channels": "register",
    "phone-log": "phoning",
    "obligations": "owed",
    "user": "user",
    "stats": "stats",
    "audit": "audit",
    "doctor": "care",
    "backup": "care",
    "restore": "care",
    "maintenance": "care",
    "retention": "care",
    "unseal": "audit",
}


HELP = ("-h", "--help")


class Translated(click.Command):
    """A command whose help is in the operator's language; its help options do not hang on who asks first (click keeps them)."""

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        return list(HELP)

    def get_help(self, ctx: click.Context) -> str:
        with _told(self):
            return super().get_help(ctx)

    def get_short_help_str(self, limit: int = 60) -> str:
        with _told(self):
            return (self.help or "").split("\n")[0]


class TranslatedGroup(click.Group):
    """The same for a group; its commands are translated too."""

    command_class = Translated

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        return list(HELP)

    def get_help(self, ctx: click.Context) -> str:
        with _told(self):
            return super().get_help(ctx)

    def get_short_help_str(self, limit: int = 60) -> str:
        with _told(self):
            return (self.help or "").split("\n")[0]


class Lazy(TranslatedGroup):
    """The top: knows the names of all commands, imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"gateway.cli.{COMMANDS[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command


@contextlib.contextmanager
def _told(command: click.Command) -> Iterator[None]:
    """The command with its help in the operator's language; the examples speak for themselves."""
    options = [param for param in command.params if isinstance(param, click.Option) and param.help]
    kept = command.help, [option.help for option in options]
    if command.help:
        what, *blocks = blocks_of(command.help)
        command.help = "\n\n\b\n".join([_(what), *map(_block, blocks)])
    for option in options:
        option.help = _(option.help or "")
    try:
        yield
    finally:
        command.help = kept[0]
        for option, text in zip(options, kept[1], strict=True):
            option.help = text


def blocks_of(text: str) -> list[str]:
    """What a command does, then the paragraphs of its help that keep their lines."""
    return [block.strip() for block in inspect.cleandoc(text).split("\b\n")]


def _block(text: str) -> str:
    if text.startswith("Examples:"):
        return text.replace("Examples:", _("Examples:"), 1)
    return _(text)


def language(conf: Path) -> i18n.Lang:
    """$GATEWAY_LANG, else what conf/gateway.toml says, else Chinese; read before anything is validated, so that faults are told
    in it."""
    if asked := os.environ.get("GATEWAY_LANG"):
        return "en" if asked.lower().startswith("en") else "zh"
    try:
        lang = tomllib.loads((conf / "gateway.toml").read_text("utf-8-sig")).get("gateway", {}).get("lang", "zh")
    except (OSError, ValueError, AttributeError):
        return "zh"
    return "en" if lang == "en" else "zh"


@click.group(cls=Lazy, context_settings={"help_option_names": list(HELP), "max_content_width": 110})
@click.option("--conf", type=click.Path(path_type=Path), envvar="GATEWAY_CONF", default=Path("conf"), show_default=True,
              is_eager=True, help="The folder with the configuration.")  # fmt: skip
@click.version_option(package_name="jibao-gateway", prog_name="gateway")
@click.pass_context
def cli(ctx: click.Context, conf: Path) -> None:
    """Urgent-report gateway: takes urgent reports, reads them and passes them upward in time.

    \b
    Examples:
      gateway init /etc/jibao --demo
      gateway --conf /etc/jibao check
      gateway --conf /etc/jibao run
      gateway --conf /etc/jibao explain report.txt
    """
    ctx.obj = conf
    i18n.use(language(conf))


def main() -> None:
    """The entry point of the command ``gateway``."""
    confine.leave_no_core()
    i18n.use(language(_conf_of(sys.argv)))
    cli(prog_name="gateway")


def _conf_of(argv: list[str]) -> Path:
    """The configuration's folder before Click has parsed anything, for the language of ``--help``."""
    for position, word in enumerate(argv):
        if word == "--conf" and position + 1 < len(argv):
            return Path(argv[position + 1])
        if word.startswith("--conf="):
            return Path(word.removeprefix("--conf="))
    return Path(os.environ.get("GATEWAY_CONF", "conf"))


def fail(text: str, code: int = 1) -> NoReturn:
    """Say what is wrong on stderr and end with ``code`` (1 = found wrong, 2 = bad usage)."""
    click.echo(text, err=True)
    raise SystemExit(code)
