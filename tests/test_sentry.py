"""What reaches Sentry: a real DSN on loopback, a thousand canaries planted wherever content could hide, none arrives."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st

from gateway import scrub, service

CANARIES = [f"金丝雀{n:04d}号" for n in range(1000)]


def plain(data: bytes, encoding: str | None) -> bytes:
    """A body as it was before it was compressed: by brotli, where some other package has brought that along."""
    if encoding == "br":
        import brotli

        return bytes(brotli.decompress(data))
    return gzip.decompress(data) if encoding == "gzip" else data


class Collector(BaseHTTPRequestHandler):
    """Takes envelopes and keeps their bytes."""

    bodies: list[bytes] = []

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(plain(data, self.headers.get("Content-Encoding")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def envelopes() -> Iterator[list[bytes]]:
    Collector.bodies = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service.init_sentry(f"http://public@127.0.0.1:{server.server_port}/1", release="test")
    yield Collector.bodies
    sentry_sdk.get_client().close()
    sentry_sdk.init()
    server.shutdown()


def plant(canary: str, how: int) -> None:
    """Fail with ``canary`` in the message, a local, a chained error, a breadcrumb, a tag, a log line or the user."""
    held_in_a_local = {"text": canary}
    try:
        if how == 0:
            raise ValueError(canary)
        if how == 1:
            raise KeyError(f"field {canary}") from RuntimeError(canary)
        if how == 2:
            sentry_sdk.add_breadcrumb(message=canary, data=held_in_a_local)
        if how == 3:
            sentry_sdk.set_tag("place", canary)
        if how == 4:
            sentry_sdk.set_user({"id": canary})
        if how == 5:
            logging.getLogger("gateway").error("report %s", canary)
        if how == 6:
            sentry_sdk.set_context("report", held_in_a_local)
        if how == 7:
            error = RuntimeError("x")
            error.add_note(canary)
            raise error
        raise RuntimeError(canary.encode().hex())
    except Exception as error:
        service.report_error(error)


def test_a_thousand_canaries_and_none_gets_out(envelopes: list[bytes]) -> None:
    for n, canary in enumerate(CANARIES):
        plant(canary, n % 8)
        if n % 40 == 0:
            sentry_sdk.flush(5)
    sentry_sdk.flush(10)
    sent = b"".join(envelopes)
    assert b"ValueError" in sent, "nothing arrived: the test shows nothing"
    assert b"test_sentry" in sent, "where it came from is allowed to leave"
    for canary in CANARIES:
        for form in (canary, canary.encode("unicode_escape").decode(), canary.encode().hex()):
            assert form.encode() not in sent


def test_off_without_a_dsn() -> None:
    sentry_sdk.init()
    service.init_sentry(None, release="test")
    assert sentry_sdk.get_client().dsn is None


json = st.recursive(
    st.none() | st.text() | st.integers(), lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=8), x, max_size=3)
)


@given(
    st.dictionaries(st.sampled_from(["message", "extra", "tags", "user", "request", "logentry", "breadcrumbs", "contexts"]), json)
)
def test_the_scrubber_keeps_only_what_it_names(event: dict[str, Any]) -> None:
    assert scrub.scrub({**event, "level": "error"}) == {"level": "error"}
