"""Does a class have what its protocol in ``gateway.api`` asks for? The protocol itself is the list of requirements."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from gateway.faults import listed
from gateway.i18n import _


def class_faults(cls: type[Any], protocol: type[Any]) -> list[tuple[str, str]]:
    """What ``cls`` lacks of ``protocol``: pairs of ".member" and what is wrong with it."""
    faults = []
    for name, hint in get_type_hints(protocol).items():
        if get_origin(hint) is ClassVar:
            wrong = _attribute(cls, name, get_args(hint)[0])
            if wrong:
                faults.append((f".{name}", wrong))
    for name, asked in vars(protocol).items():
        if inspect.isfunction(asked) and (name == "__init__" or not name.startswith("_")):
            wrong = _method(cls, name, asked)
            if wrong:
                faults.append((f".{name}", wrong))
    return faults


def _attribute(cls: type[Any], name: str, hint: Any) -> str | None:
    value = getattr(cls, name, None)
    if value is None:
        return _("is missing")
    if get_origin(hint) is Literal:
        allowed = get_args(hint)
        return None if value in allowed else _("is {value!r}; allowed: {allowed}").format(value=value, allowed=listed(allowed))
    if get_origin(hint) is type:
        base = get_args(hint)[0]
        if isinstance(value, type) and issubclass(value, base):
            return None
        return _("is no subclass of gateway.api.{base}").format(base=base.__name__)
    if hint is str and not (isinstance(value, str) and value.isidentifier()):
        return _("is {value!r}; allowed: a name of letters, digits and _").format(value=value)
    return None


def _method(cls: type[Any], name: str, asked: Any) -> str | None:
    function = inspect.getattr_static(cls, name, None)
    if name == "__init__" and function is object.__init__:
        return _("is missing; it takes {arguments}").format(arguments=_arguments(asked))
    function = getattr(function, "__func__", function)
    if not inspect.isfunction(function):
        return _("is missing")
    if inspect.iscoroutinefunction(asked) != inspect.iscoroutinefunction(function):
        return _("must be async") if inspect.iscoroutinefunction(asked) else _("must not be async")
    try:
        given = inspect.signature(function).parameters.values()
        names = list(inspect.signature(asked).parameters.values())
        for passed in (names, [p for p in names if p.default is p.empty]):
            inspect.Signature(list(given)).bind(*passed)
    except TypeError:
        return _("has other arguments; it takes {arguments}").format(arguments=_arguments(asked))
    return None


def _arguments(asked: Any) -> str:
    return "(" + ", ".join(list(inspect.signature(asked).parameters)[1:]) + ")"
