"""A group of DingTalk (钉钉) through its custom robot (to_dingtalk). Wire format: open.dingtalk.com, 自定义机器人.

``POST URL?access_token=KEY`` with ``{"msgtype": "text", "text": {"content": …}}``, 20 messages a minute for each robot. Where the
robot asks for signatures (加签): ``timestamp`` in milliseconds and ``sign``, the HMAC-SHA256 of ``TIMESTAMP\\nSECRET`` under the
secret, in base64. ``{"errcode": 0}`` is the only yes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from gateway.api import Field, SecretName, hookimpl
from gateway_plugins.chat.group import GroupSettings, GroupTransport, Meaning


class DingtalkSettings(GroupSettings):
    """``[transport.NAME]`` with ``kind = "to_dingtalk"``."""

    url: str = Field(
        "https://oapi.dingtalk.com/robot/send",
        pattern=r"^https?://[^\s@?]+$",
        description="the service, without the key; another one for a private installation",
    )
    signing: dict[str, SecretName] = Field(
        {}, description="robots that ask for signatures (加签): address → name of the secret that holds SEC…"
    )


class ToDingtalk(GroupTransport):
    """The transport."""

    kind: ClassVar[str] = "to_dingtalk"
    Settings: ClassVar[type[GroupSettings]] = DingtalkSettings
    limits = ((20, 60.0),)
    most_bytes = 8000
    code = "errcode"
    # 430101 to 430104: the service's own filter does not let this text through.
    codes: ClassVar[Mapping[int, Meaning]] = {
        0: "ok", 130101: "throttled", 410100: "throttled", 90030: "throttled",
        430101: "refused", 430102: "refused", 430103: "refused", 430104: "refused",
    }  # fmt: skip

    def request(self, robot: str, key: str, text: str, now: datetime) -> tuple[str, dict[str, Any]]:
        """URL and body of one message."""
        query = {"access_token": key}
        if robot in self.settings.signing:
            assert self.services is not None
            query |= signature(self.services.secret(self.settings.signing[robot]), int(now.timestamp() * 1000))
        return f"{self.settings.url}?{urlencode(query)}", {"msgtype": "text", "text": {"content": text}}


def signature(secret: str, at: int) -> dict[str, str]:
    """The two parameters of a signed request."""
    mac = hmac.new(secret.encode(), f"{at}\n{secret}".encode(), hashlib.sha256).digest()
    return {"timestamp": str(at), "sign": base64.b64encode(mac).decode()}


@hookimpl
def transports() -> list[type[ToDingtalk]]:
    """The transport of this plugin."""
    return [ToDingtalk]
