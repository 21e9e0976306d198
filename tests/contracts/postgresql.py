"""A PostgreSQL server of the test's own, reached by a socket in its folder; nothing listens on the network."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

#: Where Debian puts the programs of each version.
DEBIAN = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """The folder that has `initdb` and `postgres`; None if PostgreSQL is not installed."""
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PostgreSQL:
    """A server that gives everybody who asks tables apart from all others.

    :param binaries: see `programs`.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._numbers = itertools.count()
        # A path of its own: a socket's may have 107 bytes, and the user that the server runs as must be able to reach it.
        self._place = Path(tempfile.mkdtemp(prefix="postgresql-"))
        # PostgreSQL does not run as root.
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self._place, self._user, self._user)

    def start(self) -> None:
        """Make it and start it."""
        self._run("initdb", "--username=twsync", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--pgdata", "data")
        options = f"-c listen_addresses= -c unix_socket_directories={self._place} -c fsync=off"
        self._run("pg_ctl", "--pgdata", "data", "--wait", "--log", "log", "--options", options, "start")

    def stop(self) -> None:
        """End it and remove everything."""
        try:
            self._run("pg_ctl", "--pgdata", "data", "--mode", "fast", "--wait", "stop")
        finally:
            shutil.rmtree(self._place)

    def new(self) -> str:
        """The URL of a new, empty schema, which is as good as a database of its own and made in less time."""
        name = f"control{next(self._numbers)}"
        with psycopg.connect(f"postgresql://twsync@/postgres?host={self._place}") as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"postgresql://twsync@/postgres?host={self._place}&options=-csearch_path%3D{name}"

    def _run(self, name: str, *arguments: str) -> None:
        user = self._user if os.geteuid() == 0 else None
        line = [self._binaries / name, *arguments]
        # pg_ctl leaves the server behind, which would hold a pipe open.
        with tempfile.TemporaryFile() as output:
            code = subprocess.run(line, cwd=self._place, user=user, stdout=output, stderr=output, timeout=60, check=False).returncode
            output.seek(0)
            assert code == 0, output.read().decode()
