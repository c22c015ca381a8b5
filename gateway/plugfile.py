"""Files that hold plugins: may their code be run, how they are imported, which line of theirs is at fault."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from gateway.i18n import _

LOCAL = "gateway_local_"
"""Module names of plugins.d files start so; a worker finds the file again by it."""


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
    """Why code at ``path`` may not be run: somebody else could have written it. A link is as safe as where it leads."""
    try:
        found, owner = path.stat(), conf_dir.stat().st_uid
    except OSError as error:
        return _("cannot be read: {error}").format(error=error.strerror)
    if path.is_symlink():
        link, folder = path.lstat(), path.resolve().parent
        if link.st_uid not in (0, owner):
            return _("is a link of user {uid}; it must belong to root or to the owner of the configuration").format(
                uid=link.st_uid
            )
        if (refused := unsafe(folder, conf_dir)) is not None:
            return _("leads to {folder}: {refused}").format(folder=folder, refused=refused)
    if found.st_uid not in (0, owner):
        return _("is owned by user {uid}; it must belong to root or to the owner of the configuration").format(uid=found.st_uid)
    if found.st_mode & 0o002:
        return _("anybody may write it; run: chmod o-w {path}").format(path=os.fspath(path))
    return None


def version_of(path: Path) -> str:
    """By which a change of a file is seen."""
    return str(path.stat().st_mtime_ns)


def text_of(path: Path) -> str:
    """Its text; empty where there is none."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def line_of(error: BaseException, file: str) -> int:
    """The line of ``file`` at which ``error`` arose."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    line, trace = 1, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
