"""A group of WeCom (企业微信) through its robot (to_wecom). Wire format: developer.work.weixin.qq.com, document 91770 (群机器人).

``POST URL?key=KEY`` with ``{"msgtype": "text", "text": {"content": …}}``, at most 2048 bytes of content and 20 messages a minute
for each robot; ``{"errcode": 0}`` is the only yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from gateway.api import Field, hookimpl
from gateway_plugins.chat.group import GroupSettings, GroupTransport, Meaning


class WecomSettings(GroupSettings):
    """``[transport.NAME]`` with ``kind = "to_wecom"``."""

    url: str = Field(
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send",
        pattern=r"^https?://[^\s@?]+$",
        description="the service, without the key; another one for a private installation",
    )


class ToWecom(GroupTransport):
    """The transport."""

    kind: ClassVar[str] = "to_wecom"
    Settings: ClassVar[type[GroupSettings]] = WecomSettings
    limits = ((20, 60.0),)
    most_bytes = 2048
    code = "errcode"
    # 40008: type of message, 40058: a parameter, 44004: no content, 45002: too long.
    codes: ClassVar[Mapping[int, Meaning]] = {
        0: "ok", 45009: "throttled", 45033: "throttled",
        40008: "refused", 40058: "refused", 44004: "refused", 45002: "refused",
    }  # fmt: skip

    def request(self, robot: str, key: str, text: str, now: datetime) -> tuple[str, dict[str, Any]]:
        """URL and body of one message."""
        return f"{self.settings.url}?{urlencode({'key': key})}", {"msgtype": "text", "text": {"content": text}}


@hookimpl
def transports() -> list[type[ToWecom]]:
    """The transport of this plugin."""
    return [ToWecom]
