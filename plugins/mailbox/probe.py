"""For `gateway doctor`: whether a mailbox can be opened."""

from __future__ import annotations

import asyncio

from gateway_plugins.mailbox.box import Box, BoxError


async def probe(box: Box) -> str | None:
    """None where it can, else why not."""

    def look() -> None:
        try:
            box.open()
        finally:
            box.close()

    try:
        await asyncio.to_thread(look)
    except BoxError as error:
        return str(error)
    except asyncio.CancelledError:
        box.cut()
        raise
    return None
