"""``user``: who may sign in to the console."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.accounts import ROLES, SHORTEST
from gateway.cli import TranslatedGroup, fail
from gateway.cli.link import do
from gateway.cli.show import as_json, moment, safe, table
from gateway.i18n import _


@click.group(cls=TranslatedGroup)
def user() -> None:
    """Accounts of the console: add, change, disable, list.

    \b
    Examples:
      gateway user add li --role clerk --person 李值班
      gateway user list
    """


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the account may do (docs/console.md).")
@click.option("--person", default="", help="The person of directory.toml in whose name it acts.")
@click.option("--stdin", "stdin", is_flag=True, help="Read the password from standard input, one line.")
@click.pass_obj
def add(conf: Path, name: str, role: str, person: str, stdin: bool) -> None:
    """Add an account; its password is asked for twice.

    \b
    Examples:
      gateway user add li --role clerk --person 李值班
      gateway user add wei --role operator --stdin < password
    """
    do(conf, "account_add", account=name, role=role, person=person, password=_password(stdin))
    click.echo(_("account {name} added").format(name=name))


@user.command("passwd")
@click.argument("name")
@click.option("--stdin", "stdin", is_flag=True, help="Read the password from standard input, one line.")
@click.pass_obj
def passwd(conf: Path, name: str, stdin: bool) -> None:
    """Give an account another password; whoever is signed in with it is signed out.

    \b
    Examples:
      gateway user passwd li
    """
    do(conf, "account_passwd", account=name, password=_password(stdin))
    click.echo(_("password of {name} changed; earlier sign-ins are over").format(name=name))


@user.command("change")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), help="What the account may do (docs/console.md).")
@click.option("--person", help="The person of directory.toml in whose name it acts.")
@click.pass_obj
def change(conf: Path, name: str, role: str | None, person: str | None) -> None:
    """Give an account another role or person; whoever is signed in with it is signed out.

    \b
    Examples:
      gateway user change li --person 马值班
    """
    do(conf, "account_change", account=name, role=role, person=person)
    click.echo(_("account {name} changed; earlier sign-ins are over").format(name=name))


@user.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Let it be used again.")
@click.pass_obj
def disable(conf: Path, name: str, undo: bool) -> None:
    """Let an account be used no longer; whoever is signed in with it is signed out.

    \b
    Examples:
      gateway user disable li
      gateway user disable li --undo
    """
    do(conf, "account_change", account=name, disabled=not undo)
    click.echo((_("account {name} may be used again") if undo else _("account {name} is disabled")).format(name=name))


@user.command("totp")
@click.argument("name")
@click.option("--off", is_flag=True, help="Ask for no code any more.")
@click.pass_obj
def totp(conf: Path, name: str, off: bool) -> None:
    """Ask for a code of six digits beside the password (RFC 6238); the key is shown once.

    \b
    Examples:
      gateway user totp li
      gateway user totp li --off
    """
    import pyotp

    key = "" if off else pyotp.random_base32()
    do(conf, "account_totp", account=name, key=key)
    if off:
        click.echo(_("account {name}: the password alone").format(name=name))
        return
    click.echo(_("put this key into an authenticator; it is not shown again: {key}").format(key=key))
    click.echo(pyotp.TOTP(key).provisioning_uri(name=name, issuer_name="jibao"))


@user.command("certificate")
@click.argument("name")
@click.argument("known_by", required=False)
@click.option(
    "--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its PEM file: this very one signs in."
)
@click.option("--none", "none", is_flag=True, help="None signs in any more.")
@click.pass_obj
def certificate(conf: Path, name: str, known_by: str | None, file: Path | None, none: bool) -> None:
    """Let a client certificate sign in with an account: by a name in it (mail, DNS, URI, or its common name), or this very one.

    \b
    Examples:
      gateway user certificate li li@duty.example
      gateway user certificate li --file li.pem
      gateway user certificate li --none
    """
    if (known_by is not None) + (file is not None) + none != 1:
        raise click.UsageError(_("either a name, or --file, or --none"))
    wanted = _certificate(file) if file is not None else known_by or ""
    do(conf, "account_certificate", account=name, known_by=wanted)
    if none:
        click.echo(_("account {name}: no certificate signs in").format(name=name))
    else:
        click.echo(_("account {name}: signs in with {certificate}").format(name=name, certificate=wanted))


@user.command("list")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(conf: Path, as_json_: bool) -> None:
    """Every account with its role, its person and how many are signed in with it.

    \b
    Examples:
      gateway user list
    """
    rows = do(conf, "accounts")
    if as_json_:
        return as_json(rows)
    heads = [_("account"), _("role"), _("person"), _("second factor"), _("certificate"), _("state"), _("signed in"), _("changed")]
    shown = [
        [
            one["name"],
            _(one["role"]),
            one["person"],
            _("yes") if one["second_factor"] else _("no"),
            safe(one["certificate"]),
            _("disabled") if one["disabled"] else _("in use"),
            one["signed_in"],
            moment(one["changed_at"]),
        ]
        for one in rows
    ]
    return table(heads, shown)


def _certificate(file: Path) -> str:
    """The fingerprint of the certificate in a PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from gateway.certificates import fingerprint

    try:
        return fingerprint(x509.load_pem_x509_certificates(file.read_bytes())[0].public_bytes(Encoding.DER))
    except (ValueError, OSError):
        return fail(_("{file} is no certificate (PEM)").format(file=file), 2)


def _password(stdin: bool) -> str:
    """A password as its hash: from standard input, else asked for twice."""
    from argon2 import PasswordHasher

    if stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = click.prompt(_("password"), hide_input=True, confirmation_prompt=_("once more"))
    if len(given) < SHORTEST:
        fail(_("a password has {count} characters at least").format(count=SHORTEST), 2)
    return PasswordHasher().hash(given)
