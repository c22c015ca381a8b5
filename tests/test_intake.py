"""What intake does where the store does not answer as it should."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.core.errors import StorageTrouble
from gateway.core.model import RawMessage
from gateway.intake import Intake
from gateway.store import StoreKeys, precedence

AT = datetime(2026, 4, 10, 9, 0, tzinfo=UTC)
RAW = RawMessage(channel="sms", via="sms", received_at=AT, sender="+8613800000002", body=b"x", content_type="text/plain")


@pytest.mark.parametrize("end", [StorageTrouble("no answer"), asyncio.CancelledError()])
async def test_the_desk_is_woken_whatever_became_of_the_carrier(end: BaseException) -> None:
    """It may have been stored all the same, and no other message may come on that channel for a while."""

    async def write(*args: Any, **kwargs: Any) -> Any:
        raise end

    woken: list[tuple[str, int]] = []
    intake = Intake(
        SimpleNamespace(keys=StoreKeys(bytes(32)), new_id=lambda: "0" * 26, write=write),  # type: ignore[arg-type]
        clock=lambda: AT, max_bytes=100, repeat_seconds=60.0,
        alarms=SimpleNamespace(raise_=lambda *args, **kwargs: None),  # type: ignore[arg-type]
        wake=lambda channel, of: woken.append((channel, of)), take_receipt=lambda *args: None, wake_dispatch=lambda: None,
    )  # fmt: skip
    intake.known = lambda sender: sender == RAW.sender
    with pytest.raises(type(end)):
        await intake.accept(RAW)
    assert woken == [("sms", precedence.FIRST)]
    assert intake.in_hand == 0
