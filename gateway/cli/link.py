"""How a command reaches the store: through the daemon's socket, or with the lock in hand where no daemon runs."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway.asked import OperationError
from gateway.cli import fail
from gateway.control import ask
from gateway.core.errors import StorageTrouble
from gateway.i18n import _
from gateway.operations import Live, perform_now
from gateway.settings import Config, Whereabouts, whereabouts


def load(conf: Path) -> Config:
    """The configuration of ``conf``; its faults end the command."""
    from gateway.conf_load import load as load_conf
    from gateway.faults import ConfError
    from gateway.host import Host

    try:
        return load_conf(conf, Host.load(conf))
    except ConfError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        return fail(_("faults in {conf}: {count}").format(count=len(error.faults), conf=conf))


def located(conf: Path) -> Whereabouts | Config:
    """Where ``conf`` keeps things, although another part of it may have a fault; the faults of that table end the command."""
    return whereabouts(conf) or load(conf)


def do(conf: Path, name: str, **args: Any) -> Any:
    """Carry out an operation: in the daemon if one runs, whatever is written in ``conf`` by now, else here."""
    return _do(located(conf).state, lambda: load(conf), name, args)


def do_with(config: Config, name: str, **args: Any) -> Any:
    """The same with a configuration that is read already, where the one on the disk may have faults."""
    return _do(config.state, lambda: config, name, args)


def _do(state: Path, config: Callable[[], Config], name: str, args: dict[str, Any]) -> Any:
    path = state / "control.sock"
    try:
        return ask(path, name, args)
    except ConnectionError:
        return _without_daemon(config(), name, args)
    except OperationError as error:
        return fail(str(error))
    except PermissionError:
        return fail(_("no right to {path}; allowed: members of the group that owns it").format(path=path))
    except OSError as error:
        return fail(_("the daemon does not answer: {error}").format(error=type(error).__name__))


def _without_daemon(config: Config, name: str, args: dict[str, Any]) -> Any:
    from gateway.secrets import SecretError, Secrets
    from gateway.service import AlreadyRunning, lock, utc_now
    from gateway.store import Store, StoreKeys, StoreRefused

    try:
        held = lock(config.state)
    except AlreadyRunning as error:
        return fail(_("{error}; it does not answer on its control socket").format(error=error))
    try:
        keys = StoreKeys.load(Secrets(config.secrets).path("store-key"))
        store = Store.open(config.store_url, keys, clock=utc_now)
    except (SecretError, StoreRefused, StorageTrouble, OSError) as error:
        held.close()
        return fail(str(error))
    try:
        return perform_now(Live(config=config, store=store, running=False), name, args, getpass.getuser())
    except (OperationError, StorageTrouble) as error:
        return fail(str(error))
    finally:
        store.close()
        held.close()
