"""Doctor says whether official papers can be made here, and which type stands in for the office's own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway import i18n
from gateway.doctor import checks, host
from gateway.doctor.facts import Facts
from gateway.settings import Config


@pytest.fixture(autouse=True)
def english() -> object:
    i18n.use("en")
    yield
    i18n.use("zh")


def found(config: Config, **facts: object) -> list[tuple[str, str]]:
    made = Facts(now=datetime(2026, 3, 5, tzinfo=UTC), config=config, **facts)  # type: ignore[arg-type]
    return [(one.state, one.found) for one in checks.papers(made)]


NOTO = frozenset({"Noto Serif CJK SC", "Noto Sans CJK SC", "AR PL KaitiM GB"})


def test_substitutes_are_named_and_what_is_missing_is_a_warning(config: Config) -> None:
    [(state, text)] = found(config, families=NOTO)
    assert state == "ok" and "Noto Serif CJK SC for 方正小标宋简体" in text and "AR PL KaitiM GB for 楷体_GB2312" in text
    own = frozenset(getattr(config.papers.fonts, use)[0] for use in type(config.papers.fonts).model_fields)
    assert found(config, families=own) == [("ok", "can be made")]
    without = found(config, families=frozenset({"Noto Serif CJK SC"}))
    assert [state for state, _text in without] == ["warn", "ok"] and without[0][1].startswith("hei: none of 黑体")


def test_a_press_that_cannot_work_is_a_warning_with_its_reason(config: Config) -> None:
    assert found(config, families=None, press="WeasyPrint cannot be loaded")[0] == ("warn", "WeasyPrint cannot be loaded")
    assert [state for state, _text in found(config, families=NOTO, press="x")] == ["warn", "ok"]


def test_this_host_can_make_them() -> None:
    assert host.press() is None
    families = host.families()
    assert families and {"Noto Serif CJK SC", "Noto Sans CJK SC"} <= families
