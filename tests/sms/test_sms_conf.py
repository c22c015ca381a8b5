"""The shipped conf/channels.d/sms.toml is the reference: every key of both classes, with its words and its default."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway_plugins import sms_cmpp, sms_http, sms_smpp, sms_spool, to_sms

TEXT = (Path(__file__).parents[2] / "conf" / "channels.d" / "sms.toml").read_text(encoding="utf-8")
WAYS_IN, WAYS_OUT = TEXT.split("# 发", 1)


@pytest.mark.parametrize(("section", "settings"), [(WAYS_IN, sms_smpp.SmppSettings), (WAYS_OUT, to_sms.ToSmsSettings)])
def test_every_key_is_there_with_its_default(section: str, settings: Any) -> None:
    for name, field in settings.model_fields.items():
        assert f"# {field.description}\n" in section
        if not field.is_required():
            written = re.search(rf"^#({name} = .*)$", section, re.MULTILINE)
            assert written, name
            assert tomllib.loads(written[1])[name] == field.default


def test_what_is_set_is_taken() -> None:
    conf = tomllib.loads(TEXT)
    for table, settings in (("channel", sms_smpp.SmppSettings), ("transport", to_sms.ToSmsSettings)):
        values = {key: value for key, value in conf[table]["sms"].items() if key not in {"kind", "enabled"}}
        settings(**values)


OTHERS: dict[str, Any] = {"cmpp": sms_cmpp.CmppSettings, "modem": sms_spool.SpoolSettings, "cloud": sms_http.HttpSmsSettings}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_off_is_a_reference_all_the_same(name: str) -> None:
    words = (Path(__file__).parents[2] / "conf" / "channels.d" / f"{name}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(words)["channel"][name]
    assert table["enabled"] is False
    settings = OTHERS[name]
    settings(**{key: value for key, value in table.items() if key not in {"kind", "enabled"}})
    for key, field in settings.model_fields.items():
        assert f"# {field.description}\n" in words
        if not field.is_required():
            written = re.search(rf"^#({key} = .*)$", words, re.MULTILINE)
            assert written, key
            assert tomllib.loads(written[1])[key] == toml_plain(field.get_default(call_default_factory=True))


def toml_plain(value: Any) -> Any:
    return [toml_plain(one) for one in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0},
        {"port": 65536},
        {"window": 0},
        {"enquire_link": 0},
        {"default_alphabet": "utf-7"},
        {"hosts": "x"},
        {"system_id": "s" * 16},
    ],
)
def test_what_makes_no_sense_is_a_fault(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        sms_smpp.SmppSettings(**{"system_id": "gateway", "password": "smpp-password", **wrong})
