"""From configuration and data to a finished paper: which template, which values, which fonts."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from gateway.core.obligations import Period
from gateway.i18n import _
from gateway.papers import charts, compose, press, templates
from gateway.papers.templates import TemplateFault
from gateway.settings import Config
from gateway.stats import Gathered

log = logging.getLogger(__name__)
_PLOT = re.compile(r'<svg [^>]*?id="(plot-[a-z]+)"[^>]*? width="(\d+)" height="([\d.]+)".*?</svg>', re.S)


def wording(fault: TemplateFault) -> str:
    """What is wrong with a template, for an operator: its file and line first."""
    text = _("{where}: the template fails ({what}); the built-in one is used")
    return text.format(where=f"templates/{fault.name}:{fault.line}", what=fault.what)


def said(fault: TemplateFault) -> None:
    """To the log alone, where nobody stands ready to raise an alarm."""
    log.error("%s", wording(fault))


def of_figures(
    config: Config, paper: str, found: Gathered, whole: Period, on_fault: Callable[[TemplateFault], None] = said
) -> str:
    """One of ``compose.NAMES`` as HTML."""
    values = compose.of_figures(paper, found, whole, config.papers, config.city, charts.places(config.gazetteer))
    return templates.fill(f"{paper}.html", config.paper_templates, values, on_fault)


def fonts(config: Config) -> dict[str, tuple[str, ...]]:
    """The families of type of conf, by what they are for."""
    return {name: getattr(config.papers.fonts, name) for name in type(config.papers.fonts).model_fields}


def pictures(config: Config, html: str) -> dict[str, bytes]:
    """The plots of a paper as PNG by the id of each, for DOCX, which takes no SVG. Nothing where pages cannot be made here."""
    faces = ", ".join(f'"{face}"' for face in config.papers.fonts.hei)
    made: dict[str, bytes] = {}
    for found in _PLOT.finditer(html):
        key, width, height = found.groups()
        style = f"@page {{ size: {width}px {height}px; margin: 0 }} body {{ margin: 0; font-family: {faces} }}"
        drawn = press.pages(press.Order(html=f"<style>{style} svg {{ display: block }}</style>{found[0]}", form="png", most=1))
        if drawn.reason:
            log.warning(_("a plot is left out: {why}").format(why=drawn.reason))
            return made
        made[key] = drawn.data
    return made
