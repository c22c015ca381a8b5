"""Sockets that systemd passes: parsed, lent, taken again, and never inherited by a child."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import activation
from gateway.activation import FIRST, Inherited, passed
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.phone_transcript import PhoneSettings, PhoneTranscript
from tests.channel_fakes import TOKEN, FakeIntake, FakeServices

ROOT = Path(__file__).parents[2]
NAMES = st.lists(st.text("abcdefgh-", min_size=1, max_size=8), max_size=6)


@given(NAMES, st.integers(0, 8), st.booleans())
def test_parsing(names: list[str], count: int, ours: bool) -> None:
    environ = {"LISTEN_PID": "50" if ours else "51", "LISTEN_FDS": str(count), "LISTEN_FDNAMES": ":".join(names)}
    found = passed(environ, 50)
    if not ours:
        assert found == {}
        return
    assert sorted(found.values()) == list(range(FIRST, FIRST + count)), "each is known by one name"
    for name in names[:count]:
        assert found[name] == FIRST + names.index(name)


@pytest.mark.parametrize("count", ["", "x", "-1", "1.5", "²"])
def test_a_count_that_is_no_number_passes_nothing(count: str) -> None:
    assert passed({"LISTEN_PID": "5", "LISTEN_FDS": count, "LISTEN_FDNAMES": "smtp"}, 5) == {}


@given(st.dictionaries(st.sampled_from(["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]), st.text(max_size=12)))
def test_whatever_stands_there_nothing_is_raised(environ: dict[str, str]) -> None:
    passed(environ, 1)


def listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(8)
    return made


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, socket.socket]]:
    """Sockets as systemd would keep them, under the names of the shipped units."""
    sockets = {name: listening() for name in ("smtp", "lmtp", "http")}
    monkeypatch.setattr(activation, "_ours", Inherited({name: made.fileno() for name, made in sockets.items()}))
    yield sockets
    for made in sockets.values():
        made.close()


def port(made: socket.socket) -> int:
    return int(made.getsockname()[1])


def test_the_variables_are_taken_away_and_the_descriptors_kept_from_children() -> None:
    with listening() as made:
        code = (
            "import os, sys, subprocess\n"
            "os.environ['LISTEN_PID'] = str(os.getpid())\n"
            "from gateway import activation\n"
            "lent = activation.inherited('smtp')\n"
            "assert lent.getsockname()[1] == int(sys.argv[1]) and lent.fileno() != 3, lent\n"
            "assert activation.inherited('other') is None\n"
            "assert not [name for name in os.environ if name.startswith('LISTEN_')]\n"
            "assert not os.get_inheritable(3) and not os.get_inheritable(lent.fileno())\n"
            'look = \'import os; print(sorted(os.listdir("/proc/self/fd")), [n for n in os.environ if n.startswith("LISTEN")])\'\n'
            "print(subprocess.run([sys.executable, '-c', look], close_fds=False, capture_output=True, text=True).stdout)\n"
        )
        # As systemd does it: the socket is descriptor 3, inheritable.
        shell = f'exec 3<&{made.fileno()} {made.fileno()}<&-; exec {sys.executable} -c "$0" {port(made)}'
        env = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp"}
        done = subprocess.run(
            ["bash", "-c", shell, code], pass_fds=(made.fileno(),), env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['0', '1', '2', '3'] []", "3 is the child's own look at its folder"


async def test_a_channel_takes_its_socket_leaves_it_open_and_takes_it_again(kept: dict[str, socket.socket]) -> None:
    settings = EmailSettings(port=1, addresses=("report@gateway.test",), timeout_seconds=5)
    channel = EmailSmtp("mail", settings, FakeServices())
    for _ in range(3):
        await channel.start(FakeIntake())
        assert channel.ports == (port(kept["smtp"]), port(kept["lmtp"]))
        reader, writer = await asyncio.open_connection("127.0.0.1", port(kept["smtp"]))
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"220")
        await channel.stop()
        writer.close()
    # Nobody takes calls now, and yet a caller is not refused: it waits, and the next start answers it.
    waiting, writer = await asyncio.open_connection("127.0.0.1", port(kept["smtp"]))
    await channel.start(FakeIntake())
    assert (await asyncio.wait_for(waiting.readline(), 5)).startswith(b"220")
    writer.close()
    await channel.stop()


async def test_the_http_door_too(kept: dict[str, socket.socket]) -> None:
    channel = PhoneTranscript("phone", PhoneSettings(port=1), FakeServices(secrets={"phone-token": TOKEN}))

    def health() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port(kept["http"]), timeout=10)
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    for _ in range(2):
        waiting = asyncio.create_task(asyncio.to_thread(health))
        await asyncio.sleep(0)
        await channel.start(FakeIntake())
        assert channel.port == port(kept["http"])
        assert await waiting == 200
        await channel.stop()


async def test_two_channels_do_not_share_one_socket(kept: dict[str, socket.socket]) -> None:
    first, second = (
        EmailSmtp(name, EmailSettings(port=0, addresses=(f"{name}@gateway.test",), lmtp_socket=""), FakeServices())
        for name in ("one", "two")
    )
    await first.start(FakeIntake())
    with pytest.raises(OSError, match="socket smtp is in use by another channel"):
        await second.start(FakeIntake())
    own = EmailSmtp("two", EmailSettings(port=0, addresses=("two@gateway.test",), socket="", lmtp_socket=""), FakeServices())
    await own.start(FakeIntake())
    assert own.ports[0] not in (port(kept["smtp"]), port(kept["lmtp"]))
    await own.stop()
    await first.stop()
