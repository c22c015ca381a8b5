"""What each role may do. A page names the one right that it asks for; there is no page without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Right = Literal[
    "anybody",  # also who has not signed in: the way in, and files without content
    "signed in",
    "board",  # incidents and their facts
    "original",  # the text of what came in, and what is sensitive
    "acknowledge",  # 签收、告知
    "handle",  # 更正、追问、结案
    "sign",  # 审签
    "instruct",  # 批示
    "phone",  # 电话记录单
    "review",  # 待人工
    "shift",  # 交接班签字
    "audit",  # 审计
    "revoke",  # sign-ins of others
    "configure",  # 提议修改值班表、名录、日历、目录
    "agree",  # 同意他人的修改
]

ROLES: Mapping[str, frozenset[Right]] = {
    "clerk": frozenset({"board", "original", "acknowledge", "handle", "phone", "review", "shift"}),
    "leader": frozenset({"board", "original", "acknowledge", "handle", "sign", "instruct", "review", "agree"}),
    "bureau": frozenset({"board", "original", "acknowledge", "handle", "phone", "review", "shift", "audit"}),
    "operator": frozenset({"audit", "revoke", "configure"}),
    "readonly": frozenset({"board"}),
}
"""Who keeps the machine running sees no report; who only reads sees no original and nothing sensitive."""


def may(role: str, right: Right) -> bool:
    """Whether somebody signed in with ``role`` has ``right``; a role that is not known has none."""
    if right in ("anybody", "signed in"):
        return role in ROLES or right == "anybody"
    return right in ROLES.get(role, frozenset())


def home(role: str) -> str:
    """The page that comes first."""
    return "/" if may(role, "board") else "/audit"
