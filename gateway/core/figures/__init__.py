"""Figures of a period (报送情况统计): who reported how much and how fast, what passed its limit, what was judged. Pure.

``period`` says what a period is, ``reckon`` counts, ``units`` holds the rate (报送率) and the ranking.
"""

from __future__ import annotations

from gateway.core.figures.model import Case, Figures, Judgements, Spread, Tally, Told, Unit
from gateway.core.figures.period import between, named
from gateway.core.figures.reckon import reckon

__all__ = ["Case", "Figures", "Judgements", "Spread", "Tally", "Told", "Unit", "between", "named", "reckon"]
