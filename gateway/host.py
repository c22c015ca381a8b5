"""Loads plugins and refuses bad ones by name: the only place that makes a PluginManager.

Plugins come from the entry-point group ``gateway.plugins`` and from single files in CONF/plugins.d. Each implementation
of a hook is called alone, because pluggy stops at the first exception; all faults are collected, none is raised.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict, get_args, get_type_hints

import pluggy

from gateway import hooks
from gateway.api import API_VERSION
from gateway.faults import Fault, listed, unknown_name
from gateway.i18n import _
from gateway.plugcheck import class_faults

GROUP = "gateway.plugins"
HOOKS = ("channels", "transports", "routers", "readers", "classifiers")
LOCAL = "gateway_local_"
"""Module names of plugins.d files start so; a worker finds the file again by it."""


class PluginInfo(TypedDict):
    """What ``gateway plugins`` shows: where a plugin is from, its hooks, and the kinds it provides."""

    name: str
    source: str
    hooks: list[str]
    kinds: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin's module before its hooks are called."""

    name: str
    source: str
    module: ModuleType


@dataclass(slots=True)
class Host:
    """The plugins of this process. ``kinds`` maps hook → kind → class; ``faults`` is empty if all may be used."""

    kinds: dict[str, dict[str, type[Any]]] = field(default_factory=lambda: {hook: {} for hook in HOOKS})
    faults: list[Fault] = field(default_factory=list)
    _plugins: list[PluginInfo] = field(default_factory=list)
    _owners: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def load(cls, conf_dir: Path | None = None) -> Host:
        """Load every plugin there is; with ``conf_dir`` also the files of its plugins.d."""
        host = cls()
        manager = pluggy.PluginManager("gateway")
        manager.add_hookspecs(hooks)
        found = [*host._entry_points(), *(host._files(conf_dir) if conf_dir else ())]
        for plugin in found:
            if host._fit(manager, plugin):
                manager.register(plugin.module, plugin.name)
        for plugin in found:
            if manager.get_plugin(plugin.name) is plugin.module:
                host._collect(manager, plugin)
        host.faults.sort()
        return host

    def plugins(self) -> list[PluginInfo]:
        """All plugins that were loaded, by name."""
        return sorted(self._plugins, key=lambda p: p["name"])

    def provider(self, hook: str, kind: str) -> str:
        """The plugin that provides ``kind``."""
        return self._owners[hook, kind]

    def _fault(self, file: str, line: int, key: str, text: str) -> None:
        self.faults.append(Fault(file, line, key, text))

    def _entry_points(self) -> Iterator[Found]:
        seen: set[str] = set()
        for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
            source = point.dist.name if point.dist else point.value
            if point.name in seen:
                self._fault(source, 1, point.name, _("two plugins have this name"))
                continue
            seen.add(point.name)
            try:
                yield Found(point.name, source, point.load())
            except (Exception, SystemExit) as error:
                self._failed(point.value.replace(".", "/") + ".py", point.name, error)

    def _files(self, conf_dir: Path) -> Iterator[Found]:
        folder = conf_dir / "plugins.d"
        if not folder.is_dir():
            return
        for path in (folder, *sorted(folder.glob("*.py"))):
            where = str(path.relative_to(conf_dir))
            refused = unsafe(path, conf_dir)
            if refused:
                self._fault(where, 1, path.stem, refused)
                if path == folder:
                    return
            elif path != folder:
                try:
                    yield Found(path.stem, where, load_file(path))
                except (Exception, SystemExit) as error:
                    self._failed(where, path.stem, error)

    def _failed(self, file: str, name: str, error: BaseException) -> None:
        text = _("does not load: {error}").format(error=f"{type(error).__name__}: {error}")
        self._fault(file, _line_of(error, Path(file).name), name, text)

    def _fit(self, manager: pluggy.PluginManager, plugin: Found) -> bool:
        """True if every hook implementation of the module is one that exists, without arguments."""
        before = len(self.faults)
        wanted = getattr(plugin.module, "REQUIRES_API", API_VERSION)
        if wanted != API_VERSION:
            text = _("needs plugin API {wanted}; this gateway has {have}").format(wanted=wanted, have=API_VERSION)
            self._fault(plugin.source, 1, f"{plugin.name}.REQUIRES_API", text)
        if manager.has_plugin(plugin.name):
            self._fault(plugin.source, 1, plugin.name, _("two plugins have this name"))
        for name, options in _implementations(manager, plugin.module):
            function = getattr(plugin.module, name)
            line, key = inspect.getsourcelines(function)[1], f"{plugin.name}.{name}"
            if (options.get("specname") or name) not in HOOKS:
                self._fault(plugin.source, line, key, unknown_name(_("hook"), options.get("specname") or name, HOOKS))
            if inspect.signature(function).parameters:
                self._fault(plugin.source, line, key, _("takes arguments; a hook is called with none"))
            if options.get("wrapper") or options.get("hookwrapper"):
                self._fault(plugin.source, line, key, _("is a wrapper; a hook returns classes"))
            if inspect.iscoroutinefunction(function):
                self._fault(plugin.source, line, key, _("is async; a hook is a plain function"))
        return len(self.faults) == before

    def _collect(self, manager: pluggy.PluginManager, plugin: Found) -> None:
        kinds: dict[str, tuple[str, ...]] = {}
        for hook in HOOKS:
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin.module:
                    kinds[hook] = (*kinds.get(hook, ()), *self._classes(plugin, hook, implementation.function))
        if not kinds:
            text = _("has no hook; hooks are {hooks}").format(hooks=listed(HOOKS))
            self._fault(plugin.source, 1, plugin.name, text)
        provided = [kind for found in kinds.values() for kind in found]
        self._plugins.append(PluginInfo(name=plugin.name, source=plugin.source, hooks=list(kinds), kinds=provided))

    def _classes(self, plugin: Found, hook: str, function: Any) -> Iterator[str]:
        line, key = inspect.getsourcelines(function)[1], f"{plugin.name}.{hook}"
        try:
            returned = function()
        except Exception as error:
            text = _("raised {error}").format(error=f"{type(error).__name__}: {error}")
            self._fault(plugin.source, line, key, text)
            return
        if not isinstance(returned, list | tuple) or not all(isinstance(one, type) for one in returned):
            self._fault(plugin.source, line, key, _("returned no list of classes"))
            return
        for cls in returned:
            faults = class_faults(cls, protocol_of(hook))
            for name, text in faults:
                self._fault(plugin.source, _class_line(cls, line), f"{key}.{cls.__name__}{name}", text)
            if not faults and self._first(plugin, hook, cls, line):
                yield cls.kind

    def _first(self, plugin: Found, hook: str, cls: type[Any], line: int) -> bool:
        """Keep ``cls`` unless another plugin already provides its kind."""
        owner = self._owners.setdefault((hook, cls.kind), plugin.name)
        if owner != plugin.name or cls.kind in self.kinds[hook]:
            text = _("kind {kind!r} is already provided by plugin {owner}").format(kind=cls.kind, owner=owner)
            self._fault(plugin.source, _class_line(cls, line), f"{plugin.name}.{hook}.{cls.__name__}.kind", text)
            return False
        self.kinds[hook][cls.kind] = cls
        return True


def protocol_of(hook: str) -> type[Any]:
    """The protocol whose classes ``hook`` returns, as its specification says."""
    returned = get_type_hints(getattr(hooks, hook))["return"]
    protocol: type[Any] = get_args(get_args(returned)[0])[0]
    return protocol


def load_file(path: Path) -> ModuleType:
    """Import one plugins.d file under a name of its own."""
    name = LOCAL + path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def unsafe(path: Path, conf_dir: Path) -> str | None:
    """Why code at ``path`` may not be run: somebody else could have written it."""
    found, owner = path.stat(), conf_dir.stat().st_uid
    if found.st_uid not in (0, owner):
        return _("is owned by user {uid}; it must belong to root or to the owner of the configuration").format(
            uid=found.st_uid
        )
    if found.st_mode & 0o002:
        return _("anybody may write it; run: chmod o-w {path}").format(path=os.fspath(path))
    return None


def _implementations(manager: pluggy.PluginManager, module: ModuleType) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in dir(module):
        options = manager.parse_hookimpl_opts(module, name)
        if options is not None:
            yield name, options


def _class_line(cls: type[Any], otherwise: int) -> int:
    try:
        return inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        return otherwise


def _line_of(error: BaseException, file: str) -> int:
    """The line of ``file`` at which ``error`` arose."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    line, trace = 1, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
