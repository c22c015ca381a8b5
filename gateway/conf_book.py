"""The configuration, read again and again: the plugins and the files of the last time are kept, so that only what changed is
read anew, and a plugin that runs keeps its class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.conf_files import Unsteady, steady
from gateway.conf_load import load
from gateway.conf_source import Memory
from gateway.faults import ConfError, Fault
from gateway.host import Host
from gateway.i18n import _
from gateway.settings import Config


class Book:
    """conf/ of one folder. ``waiting`` names the plugins whose code changed since they were loaded: that waits for a restart."""

    def __init__(self, conf_dir: Path) -> None:
        self.path = conf_dir
        self._host: Host | None = None
        self._memory: Memory = {}

    @property
    def waiting(self) -> tuple[str, ...]:
        """Plugins whose changed code is not in use."""
        return tuple(self._host.outdated) if self._host is not None else ()

    def tried(self, changes: Mapping[str, bytes]) -> Config:
        """The configuration as it would be with these files, by their names relative to conf/; nothing of it is kept. Raises
        ``ConfError`` with every fault."""
        host = Host.load(self.path, before=self._host)
        return load(self.path, host, files={**self._files(), **changes}, memory=dict(self._memory))

    def load(self) -> Config:
        """The configuration as it stands now. Raises ``ConfError`` with every fault; what was loaded before stays in use."""
        files = self._files()
        host = Host.load(self.path, before=self._host)
        config = load(self.path, host, files=files, memory=self._memory)
        self._host = host
        self._memory = {name: kept for name, kept in self._memory.items() if name in files}
        return config

    def _files(self) -> dict[str, bytes]:
        try:
            return steady(self.path)
        except Unsteady as unsteady:
            text = _("goes on changing while it is read; reload when it is written to its end")
            raise ConfError(Fault(name, 1, Path(name).name, text) for name in unsteady.names) from None
