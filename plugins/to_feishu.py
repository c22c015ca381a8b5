"""A group of Feishu (飞书) through its custom bot (to_feishu). Wire format: open.feishu.cn, custom bots (自定义机器人使用指南).

``POST URL/KEY`` with ``{"msg_type": "text", "content": {"text": …}}``, at most 100 messages a minute and 5 a second for each bot
and 20 KB a request. Where the bot asks for signatures (签名校验): ``timestamp`` in seconds and ``sign`` in the body, the
HMAC-SHA256 of nothing under ``TIMESTAMP\\nSECRET``, in base64. ``{"code": 0}`` is the only yes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from gateway.api import Field, SecretName, hookimpl
from gateway_plugins.chat.group import GroupSettings, GroupTransport, Meaning


class FeishuSettings(GroupSettings):
    """``[transport.NAME]`` with ``kind = "to_feishu"``."""

    url: str = Field(
        "https://open.feishu.cn/open-apis/bot/v2/hook",
        pattern=r"^https?://[^\s@?]+[^/\s@?]$",
        description="the service, without the key; another one for a private installation",
    )
    signing: dict[str, SecretName] = Field(
        {}, description="bots that ask for signatures (签名校验): address → name of the secret that holds it"
    )


class ToFeishu(GroupTransport):
    """The transport."""

    kind: ClassVar[str] = "to_feishu"
    Settings: ClassVar[type[GroupSettings]] = FeishuSettings
    limits = ((100, 60.0), (5, 1.0))
    most_bytes = 8000
    code = "code"
    # 9499: the body's form. 19021, 19022, 19024 (signature, address, keyword) are the bot's settings, which a person puts right.
    codes: ClassVar[Mapping[int, Meaning]] = {0: "ok", 11232: "throttled", 9499: "refused"}

    def request(self, robot: str, key: str, text: str, now: datetime) -> tuple[str, dict[str, Any]]:
        """URL and body of one message. A report that holds a tag of the service's own calls nobody to the screen."""
        body: dict[str, Any] = {"msg_type": "text", "content": {"text": text.replace("<at", "＜at")}}
        if robot in self.settings.signing:
            assert self.services is not None
            body |= signature(self.services.secret(self.settings.signing[robot]), int(now.timestamp()))
        return f"{self.settings.url}/{quote(key, safe='')}", body


def signature(secret: str, at: int) -> dict[str, str]:
    """The two fields of a signed request."""
    mac = hmac.new(f"{at}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return {"timestamp": str(at), "sign": base64.b64encode(mac).decode()}


@hookimpl
def transports() -> list[type[ToFeishu]]:
    """The transport of this plugin."""
    return [ToFeishu]
