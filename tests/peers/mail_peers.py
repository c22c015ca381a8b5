"""Real mail servers for the tests: Postfix and Dovecot, each from a configuration of its own, on loopback, for one test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.channel_fakes import free_port

ROOT = Path(__file__).parents[2]
USER, PASSWORD = "report@gateway.test", "mailbox-pw"


def installed() -> None:
    """The peers, where they are not there yet (a single test run by hand)."""
    if shutil.which("postfix") is None or not Path("/usr/lib/dovecot/imap").exists():
        subprocess.run(["sh", str(ROOT / ".ci" / "peers" / "mail.sh")], check=True)


async def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command beside the loop, so that what it talks to can answer."""
    return await asyncio.to_thread(
        subprocess.run, [str(word) for word in command], capture_output=True, text=True, timeout=60, **options
    )


async def until(seen: Any, seconds: float = 20, every: float = 0.05) -> Any:
    """What ``seen()`` gives as soon as it is true."""
    async with asyncio.timeout(seconds):
        while not (found := seen()):
            await asyncio.sleep(every)
    return found


async def listening(port: int, seconds: float = 20) -> None:
    """Return as soon as somebody answers on ``port``."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(OSError):
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def open_folder() -> Path:
    """A folder that the servers' own users can come to, which is what pytest's are not."""
    made = Path(tempfile.mkdtemp(prefix="jibao-mail-"))
    made.chmod(0o755)
    return made


class Postfix:
    """A Postfix of its own queue. ``settings`` are lines of main.cf, ``services`` of master.cf."""

    def __init__(self, settings: dict[str, str], services: str = "") -> None:
        folder = open_folder()
        self.folder, self.port = folder, free_port()
        self.conf, self.queue, self.log = folder / "etc", folder / "queue", folder / "mail.log"
        self.settings, self.services = settings, services
        self.boxes = folder / "boxes"

    async def start(self) -> None:
        installed()
        for path in (self.conf, self.queue, self.folder / "data", self.boxes):
            path.mkdir(parents=True, exist_ok=True)
        shutil.chown(self.folder / "data", "postfix")
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.queue, "data_directory": self.folder / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix",
            "setgid_group": "postdrop", "maillog_file": self.log, "maillog_file_prefixes": self.folder, "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "myhostname": "mx.gateway.test", "mydestination": "", "mynetworks": "127.0.0.0/8",
            "alias_maps": "", "alias_database": "", "local_recipient_maps": "", "smtputf8_enable": "yes", "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native", "minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "queue_run_delay": "1s",
            "smtpd_recipient_restrictions": "permit_mynetworks,reject", "biff": "no", "lmtp_host_lookup": "native",
            **self.settings,
        }  # fmt: skip
        (self.conf / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        (self.conf / "master.cf").write_text(MASTER.format(port=self.port) + self.services)
        started = await run("postfix", "-c", str(self.conf), "start")
        assert started.returncode == 0, started.stderr + self.told()
        await listening(self.port)

    async def stop(self) -> None:
        await run("postfix", "-c", str(self.conf), "stop")
        self._said = self.told()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def flush(self) -> None:
        await run("postqueue", "-c", str(self.conf), "-f")

    async def waiting(self) -> int:
        """How many mails are in its queue."""
        listed = await run("postqueue", "-c", str(self.conf), "-j")
        return len(listed.stdout.splitlines())

    def told(self) -> str:
        return self.log.read_text() if self.log.exists() else getattr(self, "_said", "")


MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Dovecot:
    """A Dovecot with one mailbox, spoken to by IMAP and POP3."""

    def __init__(self, settings: str = "", imap_settings: str = "", certificate: tuple[Path, Path] | None = None) -> None:
        self.folder, self.imap, self.pop3 = open_folder(), free_port(), free_port()
        self.imaps, self.pop3s = (free_port(), free_port()) if certificate else (0, 0)
        self.certificate = certificate
        self.settings, self.imap_settings = settings, imap_settings
        self.box = self.folder / "mail" / USER / "Maildir"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        installed()
        (self.folder / "run").mkdir(parents=True, exist_ok=True)
        for folder in ("cur", "new", "tmp"):
            (self.box / folder).mkdir(parents=True, exist_ok=True)
        (self.folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        subprocess.run(["chown", "-R", "nobody:nogroup", str(self.folder / "mail")], check=True)
        ssl = "no"
        if self.certificate:
            ssl = f"yes\nssl_cert = <{self.certificate[0]}\nssl_key = <{self.certificate[1]}"
        conf = self.folder / "dovecot.conf"
        conf.write_text(DOVECOT.format(
            folder=self.folder, imap=self.imap, pop3=self.pop3, imaps=self.imaps, pop3s=self.pop3s, ssl=ssl,
            more=self.settings, imap_more=self.imap_settings))  # fmt: skip
        log = (self.folder / "out").open("wb")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", str(conf)], stdout=log, stderr=log)
        await listening(self.imap)
        await listening(self.pop3)

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def stop(self) -> None:
        """Stop, sessions that stand included: these would live on."""
        if self.process is not None and self.process.poll() is None:
            children = self._children()
            self.process.terminate()
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self.process.wait, 10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        self.process = None

    def freeze(self) -> None:
        """All its processes hold their breath: connections stand, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        assert self.process is not None
        for pid in (self.process.pid, *self._children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def _children(self) -> list[int]:
        assert self.process is not None
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def put(self, mail: bytes, name: str = "") -> Path:
        """A mail into the mailbox, as a delivery agent would put it there."""
        self._count = getattr(self, "_count", 0) + 1
        name = name or f"{int(time.time())}.M{self._count:06d}P1.test"
        made = self.box / "tmp" / name
        made.write_bytes(mail.replace(b"\r\n", b"\n"))
        shutil.chown(made, "nobody", "nogroup")
        return made.rename(self.box / "new" / name)

    def flags(self) -> list[str]:
        """The flags of every mail that is in the INBOX: S seen, T deleted."""
        return sorted(path.name.partition(":2,")[2] for folder in ("new", "cur") for path in (self.box / folder).iterdir())

    def folder_of(self, name: str) -> list[Path]:
        """The mails in another folder of the mailbox."""
        return [path for part in ("new", "cur") for path in (self.box / f".{name}" / part).glob("*")]

    def rebuilt(self) -> None:
        """As after a restore of the server: the same mails, and a new UIDVALIDITY."""
        for path in self.box.rglob("dovecot*"):
            path.unlink(missing_ok=True)

    def told(self) -> str:
        return "".join((self.folder / name).read_text() for name in ("log", "out") if (self.folder / name).exists())


DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = {ssl}
disable_plaintext_auth = no
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 1
last_valid_uid = 0
mail_location = maildir:~/Maildir
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
  chroot =
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
  chroot =
}}
service anvil {{
  chroot =
}}
protocol imap {{
{imap_more}
}}
{more}
"""
