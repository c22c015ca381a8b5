"""Loads plugins and refuses bad ones by name: the only place that makes a PluginManager.

Plugins come from the entry-point group ``gateway.plugins`` and from single files in CONF/plugins.d. Each implementation
of a hook is called alone, because pluggy stops at the first exception; all faults are collected, none is raised. Another
distribution's code is never imported here: its own process says what it provides (``gateway.plughost``).
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict, get_args, get_type_hints

import pluggy

from gateway import hooks, i18n
from gateway.api import API_VERSION
from gateway.faults import Fault, listed, unknown_name
from gateway.i18n import _
from gateway.plugcheck import class_faults
from gateway.plugfile import LOCAL, line_of, load_file, text_of, unsafe, version_of
from gateway.plughost import apart
from gateway.plughost.wire import Load
from gateway.settings_model import PluginsSection

__all__ = ["GROUP", "HOOKS", "LOCAL", "Found", "Host", "PluginInfo", "protocol_of"]

GROUP = "gateway.plugins"
HOOKS = ("channels", "transports", "routers", "readers", "classifiers")


class PluginInfo(TypedDict):
    """What ``gateway plugins`` shows: where a plugin is from, its hooks, and the kinds it provides."""

    name: str
    source: str
    hooks: list[str]
    kinds: list[str]
    isolation: str


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin's module before its hooks are called."""

    name: str
    source: str
    module: ModuleType
    version: str = ""
    """By which changed code is known: the digest of a file, the version of a distribution."""


@dataclass(slots=True)
class Host:
    """The plugins of this process. ``kinds`` maps hook → kind → class; ``faults`` is empty if all may be used."""

    kinds: dict[str, dict[str, type[Any]]] = field(default_factory=lambda: {hook: {} for hook in HOOKS})
    faults: list[Fault] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    _found: dict[str, Found] = field(default_factory=dict)
    _plugins: list[PluginInfo] = field(default_factory=list)
    _owners: dict[tuple[str, str], str] = field(default_factory=dict)
    _apart: set[tuple[str, str]] = field(default_factory=set)
    _broken: list[tuple[str, str]] = field(default_factory=list)
    _conf: Path | None = None
    _limits: PluginsSection | None = None

    @classmethod
    def load(cls, conf_dir: Path | None = None, *, before: Host | None = None) -> Host:
        """Load every plugin there is; with ``conf_dir`` also the files of its plugins.d.

        With the host of ``before`` what it has loaded is used as it is: code cannot be changed under what runs. Plugins whose
        code is another by now are named in ``outdated``."""
        host = cls(_found=dict(before._found) if before is not None else {})
        if before is not None:
            importlib.invalidate_caches()
        host._conf = conf_dir
        asked = apart.asked(conf_dir)
        found = [*host._entry_points(), *(host._files(conf_dir, asked) if conf_dir else ())]
        host._examine([one for one in found if isinstance(one, Found)])
        for load in found:
            if isinstance(load, Load):
                host._take(load)
        host.faults.sort()
        return host

    @classmethod
    def load_one(cls, load: Load) -> Host:
        """Load one plugin and no other, in the process that is its own."""
        host = cls()
        try:
            module = load_file(Path(load.file)) if load.file else EntryPoint(load.plugin, load.value, GROUP).load()
            host._examine([Found(load.plugin, load.source, module)])
        except (Exception, SystemExit) as error:
            host._failed(_file_of(load), load.plugin, error)
        return host

    def _examine(self, found: list[Found]) -> None:
        manager = pluggy.PluginManager("gateway")
        manager.add_hookspecs(hooks)
        for plugin in found:
            if self._fit(manager, plugin):
                manager.register(plugin.module, plugin.name)
        for plugin in found:
            if manager.get_plugin(plugin.name) is plugin.module:
                self._collect(manager, plugin)

    def _load(self, plugin: str, source: str, **place: str) -> Load:
        """A plugin for a process of its own, under the limits that this configuration sets."""
        from gateway.plughost.hub import hub

        if self._limits is None:
            hub.limits = self._limits = apart.limits(self._conf)
        return Load(plugin=plugin, source=source, lang=i18n.lang(), memory_mb=self._limits.memory_mb, **place)

    def _take(self, load: Load) -> None:
        """Take what a plugin's own process says of it."""
        from gateway.plughost.hub import PluginDown, hub
        from gateway.plughost.proxy import proxy

        if any(load.plugin == one["name"] for one in self._plugins):
            self._fault(load.source, 1, load.plugin, _("two plugins have this name"))
            return
        before, guard = len(self.faults), hub.guard(load)
        try:
            told = hub.now(guard.describe(), hub.limits.start_seconds + 5)
        except PluginDown:
            self._broken.append((load.plugin, _source_of(load)))
            self._fault(_file_of(load), 1, load.plugin, _("does not load: {error}").format(error=guard.why))
            return
        for one in told.faults:
            self._fault(*one)
        found = Found(load.plugin, load.source, ModuleType(load.plugin))
        kept = [a.kind for a in told.classes if self._first(found, a.hook, proxy(guard, a), 1)]
        self._apart |= {(about.hook, about.kind) for about in told.classes}
        if len(self.faults) > before:
            self._broken.append((load.plugin, _source_of(load)))
        if told.hooks:
            hooked = list(told.hooks)
            self._plugins.append(PluginInfo(name=load.plugin, source=load.source, hooks=hooked, kinds=kept, isolation="process"))

    def pick(self, hook: str, kind: str, asked: str | None) -> tuple[type[Any], str | None]:
        """The class for a table that asks for ``asked`` isolation, and what is wrong with asking for it."""
        cls, plugin = self.kinds[hook][kind], self.provider(hook, kind)
        if (hook, kind) in self._apart:
            refused = _("plugin {plugin} runs in a process of its own; allowed: process").format(plugin=plugin)
            return cls, refused if asked == "inline" else None
        if asked != "process":
            return cls, None
        from gateway.plughost.describe import about
        from gateway.plughost.hub import hub
        from gateway.plughost.proxy import proxy

        source = next(one["source"] for one in self._plugins if one["name"] == plugin)
        told, local = about(hook, cls), source.startswith("plugins.d/")
        if local:
            load = self._load(plugin, source, file=told.file, version=version_of(Path(told.file)))
        else:
            load = self._load(plugin, source, value=next(p.value for p in entry_points(group=GROUP, name=plugin)))
        return proxy(hub.guard(load), told, settings=cls.Settings, bundled=not local), None

    def broken(self, kind: str) -> bool:
        """Whether a plugin that cannot be used may be the one that provides ``kind``: it is named by a fault of its own."""
        return any(kind == name or apart.provides(text, frozenset((kind,))) for name, text in self._broken)

    def plugins(self) -> list[PluginInfo]:
        """All plugins that were loaded, by name."""
        return sorted(self._plugins, key=lambda p: p["name"])

    def provider(self, hook: str, kind: str) -> str:
        """The plugin that provides ``kind``."""
        return self._owners[hook, kind]

    def _fault(self, file: str, line: int, key: str, text: str) -> None:
        self.faults.append(Fault(file, line, key, text))

    def _entry_points(self) -> Iterator[Found | Load]:
        seen: set[str] = set()
        for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
            source = point.dist.name if point.dist else point.value
            if point.name in seen:
                self._fault(source, 1, point.name, _("two plugins have this name"))
                continue
            seen.add(point.name)
            if not apart.ours(point.dist.name if point.dist else None):
                path, version = (str(point.dist.locate_file("")), point.dist.version) if point.dist else ("", "")
                yield self._load(point.name, source, value=point.value, path=path, version=version)
                continue
            try:
                version = point.dist.version if point.dist else ""
                yield self._once(f"{source}: {point.name}", version, point.name, source, point.load)
            except (Exception, SystemExit) as error:
                self._failed(point.value.replace(".", "/") + ".py", point.name, error)

    def _files(self, conf_dir: Path, asked: frozenset[str]) -> Iterator[Found | Load]:
        folder = conf_dir / "plugins.d"
        if not folder.is_dir():
            return
        files = sorted(folder.glob("*.py"))
        for place in (conf_dir, folder):
            if refused := unsafe(place, conf_dir):
                self._fault("plugins.d", 1, "plugins.d", refused)
                self._broken += [(path.stem, text_of(path)) for path in files]
                return
        for path in files:
            where = str(path.relative_to(conf_dir))
            if refused := unsafe(path, conf_dir):
                self._fault(where, 1, path.stem, refused)
                self._broken.append((path.stem, text_of(path)))
            elif apart.provides(text := text_of(path), asked):
                yield self._load(path.stem, where, file=str(path.resolve()), version=version_of(path))
            else:
                try:
                    version = hashlib.sha256(path.read_bytes()).hexdigest()
                    yield self._once(where, version, path.stem, where, partial(load_file, path))
                except (Exception, SystemExit) as error:
                    self._failed(where, path.stem, error)
                    self._broken.append((path.stem, text))

    def _once(self, key: str, version: str, name: str, source: str, load: Callable[[], ModuleType]) -> Found:
        """What was loaded before under ``key``; only what is new is loaded."""
        if key not in self._found:
            self._found[key] = Found(name, source, load(), version)
        elif self._found[key].version != version:
            self.outdated.append(key)
        return self._found[key]

    def _failed(self, file: str, name: str, error: BaseException) -> None:
        text = _("does not load: {error}").format(error=f"{type(error).__name__}: {error}")
        self._fault(file, line_of(error, Path(file).name), name, text)

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
        if len(self.faults) > before:
            self._broken.append((plugin.name, text_of(Path(getattr(plugin.module, "__file__", None) or ""))))
        return len(self.faults) == before

    def _collect(self, manager: pluggy.PluginManager, plugin: Found) -> None:
        kinds: dict[str, tuple[str, ...]] = {}
        before = len(self.faults)
        for hook in HOOKS:
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin.module:
                    kinds[hook] = (*kinds.get(hook, ()), *self._classes(plugin, hook, implementation.function))
        if not kinds:
            text = _("has no hook; hooks are {hooks}").format(hooks=listed(HOOKS))
            self._fault(plugin.source, 1, plugin.name, text)
        if len(self.faults) > before:
            self._broken.append((plugin.name, text_of(Path(getattr(plugin.module, "__file__", None) or ""))))
        provided = [kind for found in kinds.values() for kind in found]
        info = PluginInfo(name=plugin.name, source=plugin.source, hooks=list(kinds), kinds=provided, isolation="in-process")
        self._plugins.append(info)

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
            faults = _examined(cls, protocol_of(hook))  # type: ignore[arg-type]  # mypy takes no class for hashable
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


@cache
def protocol_of(hook: str) -> type[Any]:
    """The protocol whose classes ``hook`` returns, as its specification says."""
    returned = get_type_hints(getattr(hooks, hook))["return"]
    protocol: type[Any] = get_args(get_args(returned)[0])[0]
    return protocol


_examined = lru_cache(512)(class_faults)
"""A class is looked at once, however often conf is read."""


def _file_of(load: Load) -> str:
    """Where its faults are to be looked for."""
    return load.source if load.file else load.value.partition(":")[0].replace(".", "/") + ".py"


def _source_of(load: Load) -> str:
    """The text of a plugin that is not to be imported."""
    if load.file:
        return text_of(Path(load.file))
    module = Path(load.path, *load.value.partition(":")[0].split("."))
    return text_of(module.with_suffix(".py")) or text_of(module / "__init__.py")


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
