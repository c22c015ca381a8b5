"""Templates of papers: Jinja2 in a sandbox, from conf/templates; one with an error gives way to the built-in one.

A template gets data and no way to anything else: no attribute that begins with an underscore, no file, no import but of the
other templates.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

TEMPLATES = (
    "layout.html", "paper.html", "situation.html", "quarter.html", "circular.html", "ranking.html", "owed.html", "brief.html",
    "standby.html",
)  # fmt: skip
"""The templates of conf/templates that are Jinja2; ``layout.html`` is what the others extend."""
KNOWN = frozenset({
    "doc", "conf", "p", "f", "n", "notes", "percent", "minutes", "numbers", "title_of", "units", "findings", "sections",
    "accounts", "cases", "period", "shown", "s",
    "plots",
})  # fmt: skip
"""What a template may name: see docs/papers.md."""
BUILT_IN = Path(__file__).parent.parent / "example_conf" / "templates"
MOST = 2_000_000
"""Characters of a finished paper."""


class TemplateFault(Exception):
    """A template cannot be used. ``line`` is where."""

    def __init__(self, name: str, line: int, what: str) -> None:
        super().__init__(f"templates/{name}:{line}: {what}")
        self.name, self.line, self.what = name, line, what


@lru_cache(maxsize=1)
def built_in() -> Mapping[str, str]:
    """The templates that come with the gateway."""
    return {name: (BUILT_IN / name).read_text("utf-8") for name in TEMPLATES}


@lru_cache(maxsize=64)
def check(name: str, text: str) -> TemplateFault | None:
    """What is wrong with a template as it stands: its syntax, or a name that nothing fills."""
    import jinja2
    from jinja2 import meta

    env = _environment({name: text})
    try:
        tree = env.parse(text, name, name)
        env.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        return TemplateFault(name, error.lineno, error.message or type(error).__name__)
    for unknown in sorted(meta.find_undeclared_variables(tree) - KNOWN):
        lines = text.splitlines()
        line = next((number for number, one in enumerate(lines, 1) if unknown in one), 1)
        return TemplateFault(name, line, f"{unknown!r}: " + ", ".join(sorted(KNOWN)))
    return None


def fill(name: str, texts: Mapping[str, str], values: Mapping[str, Any], on_fault: Callable[[TemplateFault], None]) -> str:
    """The paper ``name`` as HTML. ``texts`` are the office's templates; what is wrong with them is told to ``on_fault``, and the
    built-in ones are used."""
    own = {key: text for key, text in texts.items() if key in TEMPLATES}
    if own:
        try:
            return _render(name, {**built_in(), **own}, values)
        except TemplateFault as fault:
            on_fault(fault)
    return _render(name, built_in(), values)


def _render(name: str, texts: Mapping[str, str], values: Mapping[str, Any]) -> str:
    import jinja2

    env = _environment(texts)
    made: list[str] = []
    size = 0
    try:
        for piece in env.get_template(name).generate(**values):
            size += len(piece)
            if size > MOST:
                raise TemplateFault(name, 1, f"> {MOST}")
            made.append(piece)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateFault(error.name or name, error.lineno, error.message or type(error).__name__) from None
    except TemplateFault:
        raise
    except Exception as error:
        where, line = _where(error, name)
        raise TemplateFault(where, line, f"{type(error).__name__}: {error}"[:200]) from None
    return "".join(made)


def _where(error: BaseException, name: str) -> tuple[str, int]:
    """The template and line in which an error came up; Jinja2 puts both into the trace."""
    found = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in TEMPLATES]
    return (found[-1].filename, found[-1].lineno or 1) if found else (name, 1)


def _environment(texts: Mapping[str, str]) -> Any:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def named(template: str) -> tuple[str, str, None] | None:
        """A text with its name as the file's, so that a trace names it."""
        return (texts[template], template, None) if template in texts else None

    env = ImmutableSandboxedEnvironment(
        loader=jinja2.FunctionLoader(named),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
    )
    env.globals["range"] = _few
    return env


def _few(*args: int) -> range:
    made = range(*args)
    if len(made) > 100_000:
        raise ValueError("range")
    return made
