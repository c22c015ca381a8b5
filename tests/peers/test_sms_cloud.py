"""Signatures of cloud SMS before the providers' own code: Twilio's validator, Alibaba Cloud's signer."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway_plugins.smshttp.provider import Call, Sending
from gateway_plugins.smshttp.providers import PROVIDERS

ROOT = Path(__file__).parents[2]
PEER = Path(__file__).with_name("cloud_peer.py")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    subprocess.run(["sh", str(ROOT / ".ci" / "peers" / "cloud.sh")], check=True)


def ask(**what: Any) -> str:
    command = [sys.executable, str(PEER), str(ROOT / ".peers" / "python")]
    done = subprocess.run(command, input=json.dumps(what), text=True, capture_output=True, check=True)
    return done.stdout.strip()


def test_what_twilios_own_code_signs_is_believed_and_nothing_else() -> None:
    fields = {"MessageSid": "SM1", "From": "+8613900000021", "To": "+12025550100", "Body": "桥塌了 & 3人 = ?", "NumMedia": "0"}
    url = "https://duty.gateway.test/sms?via=1"
    signed = ask(twilio={"url": url, "fields": fields, "token": "tok"})
    body = urlencode(fields).encode()

    def believed(**changed: Any) -> bool:
        call = {"url": url, "query": {}, "headers": {"x-twilio-signature": signed}, "body": body, **changed}
        return PROVIDERS["twilio"].proven(Call(**call), "tok")

    assert believed()
    assert not believed(url="https://duty.gateway.test/sms")
    assert not believed(body=body.replace(b"3", b"4"))


def test_alibabas_own_code_signs_a_request_as_we_do() -> None:
    asked = PROVIDERS["aliyun"].ask(
        Sending(
            api_url="https://dysmsapi.aliyuncs.com", account="AK1", secret="s3cret", source="值班室", template="SMS_1", callback="",
            to="+8613800000009", text="石桥县山体滑坡，道路中断。~ *+〔0123〕", key="d1", now=datetime(2026, 11, 23, 1, 30, tzinfo=UTC),
            nonce="n1",
        )
    )  # fmt: skip
    headers = dict(asked.headers)
    ours = headers.pop("authorization")
    query = dict(parse_qsl(urlsplit(asked.url).query, strict_parsing=True))
    assert query["TemplateParam"] == '{"content":"石桥县山体滑坡，道路中断。~ *+〔0123〕"}'
    assert ask(aliyun={"headers": headers, "query": query, "account": "AK1", "secret": "s3cret"}) == ours
