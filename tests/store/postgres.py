"""A PostgreSQL cluster of our own for the tests: made in a temporary folder, on a unix socket, gone afterwards."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def binaries() -> Path:
    """Where initdb and postgres are. Without them, and as root, Debian's package is installed."""
    found = _find()
    if found is None and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"]
        subprocess.run(install, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        found = _find()
    if found is None:
        raise RuntimeError("no PostgreSQL here: apt-get install postgresql")
    return found


def _find() -> Path | None:
    for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True):
        if Path(folder, "initdb").exists():
            return Path(folder)
    beside = shutil.which("initdb")
    return Path(beside).resolve().parent if beside else None


def _user() -> str | None:
    """PostgreSQL refuses to run as root: somebody else's name, or None where we are not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Cluster:
    """A running cluster. ``url`` makes a data base and gives its address."""

    def __init__(self, folder: Path, tools: Path, user: str | None) -> None:
        self.folder = folder
        self._tools = tools
        self._user = user
        self._count = 0

    def run(self, tool: str, *args: str) -> None:
        """Run one of PostgreSQL's tools as the cluster's owner."""
        subprocess.run(
            [str(self._tools / tool), *args],
            check=True,
            user=self._user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)},
        )

    def admin(self) -> psycopg.Connection:
        """A connection that may make and end things."""
        return psycopg.connect(f"host={self.folder} user=owner dbname=postgres", autocommit=True)

    def url(self) -> str:
        """The address of a data base that was just made."""
        self._count += 1
        name = f"gateway_{self._count}"
        with self.admin() as admin:
            admin.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://owner@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Remove a data base and end whoever is on it."""
        name = url.split("@/")[1].split("?", maxsplit=1)[0]
        with self.admin() as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server; returns when it answers."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c shared_buffers=32MB -c max_connections=40"
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    try:
        user = _user()
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        made = Cluster(folder, binaries(), user)
        made.run("initdb", "-D", str(folder / "data"), "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
