"""SyncEvolution, the stock SyncML client and server of Debian, run in homes of their own, with folders of files as datastores.

For the interoperability tests and the benchmarks.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
#: Seconds for one run of the client.
RUN_TIMEOUT = 300.0
#: Programs that a server needs, with their Debian packages; its Python is Debian's, with these modules.
SERVER_PROGRAMS = {
    "syncevolution": "syncevolution",
    "syncevo-http-server": "syncevolution-http python3-twisted python3-dbus python3-gi",
    "dbus-run-session": "dbus",
}


def build_shim(compiler: str, folder: Path) -> Path:
    """The library that mends Debian's client, built into `folder`."""
    built = folder / "shim.so"
    source = Path(__file__).with_name("syncevolution_shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    return built


@dataclass(frozen=True)
class Report:
    """What a run of the client said."""

    code: int
    text: str

    def changes(self, source: str = "addressbook") -> tuple[int, ...]:
        """The client's table for a source: local new, changed, deleted, errors, then the same of the server."""
        found = re.search(rf"^\|\s*{source} ((?:\|\s*\d+\s*)+)\|", self.text, re.M)
        assert found is not None, self.text
        return tuple(int(cell) for cell in found[1].split("|") if cell.strip())[:8]


class Home:
    """A scratch home for SyncEvolution, so that it neither sees nor changes the user's own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("home", "config", "data", "cache", "run"):
            (place / name).mkdir(parents=True, mode=0o700)

    @property
    def environment(self) -> dict[str, str]:
        """All of the environment."""
        return {
            "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": f"{self.place}/home",
            "XDG_CONFIG_HOME": f"{self.place}/config",
            "XDG_DATA_HOME": f"{self.place}/data", "XDG_CACHE_HOME": f"{self.place}/cache", "XDG_RUNTIME_DIR": f"{self.place}/run",
        }  # fmt: skip


class Client:
    """SyncEvolution as client of a URL, with datastores that are folders of files."""

    def __init__(self, program: str, shim: Path, place: Path, url: str, user: str, password: str, device: str = "sc-interop") -> None:
        self._program = program
        self._shim = shim
        self._home = Home(place)
        self.url = url
        "Where the next session goes."
        self._peer = [
            f"deviceId={device}", f"syncURL={url}", f"username={user}", f"password={password}", "printChanges=0", "dumpData=0",
            "logLevel=2", "preventSlowSync=0", "RetryInterval=5", "RetryDuration=20",
        ]  # fmt: skip

    def add(self, source: str, folder: Path, kind: str, uri: str) -> None:
        """Configure a datastore: the files of a folder, as `kind` (a media type), under a URI of the server."""
        folder.mkdir(exist_ok=True)
        store = [f"database=file://{folder}", f"databaseFormat={kind}", f"uri={uri}", "sync=two-way", "backend=file"]
        done = self._run("--configure", "--template", "none", *self._peer, *store, "peer", source)
        assert done.code == 0, done.text

    def sync(self, *sources: str, mode: str | None = None, run: tuple[str, ...] = ()) -> Report:
        """A session; `run` sets properties for it alone, such as ``enableWBXML=0``."""
        return self._run(*self._words(sources, mode, run))

    def start(self, *sources: str, mode: str | None = None, run: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """A session under way."""
        return subprocess.Popen(
            [self._program, "--daemon=no", "--keyring=no", *self._words(sources, mode, run)],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def forget(self) -> None:
        """Forget what was learned of the server: protocol version, nonces, anchors."""
        for path in self._home.place.rglob(".synthesis/*"):
            path.unlink()

    def _words(self, sources: tuple[str, ...], mode: str | None, run: tuple[str, ...]) -> list[str]:
        return [*(["--sync", mode] if mode else []), "--run", f"syncURL={self.url}", *run, "peer", *sources]

    @property
    def _environment(self) -> dict[str, str]:
        return {**self._home.environment, "LD_PRELOAD": str(self._shim)}

    def _run(self, *words: str) -> Report:
        command = [self._program, "--daemon=no", "--keyring=no", *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, timeout=RUN_TIMEOUT, check=False)
        return Report(done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"))


class StockServer:
    """SyncEvolution's own server: a D-Bus session with its daemon and the HTTP front end, ended by their process ids."""

    def __init__(self, programs: dict[str, str], place: Path, port: int, user: str, password: str) -> None:
        self._programs = programs
        self._home = Home(place)
        self._account = [f"username={user}", f"password={password}"]
        self.port = port
        self.log = place / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://{LOOPBACK}:{self.port}/syncevolution"

    def add(self, device: str, source: str, folder: Path, kind: str, uri: str, *options: str) -> None:
        """Let a device synchronise a folder under a URI."""
        folder.mkdir(exist_ok=True)
        peer = [
            f"remoteDeviceId={device}",
            "syncURL=",
            "peerIsClient=1",
            *self._account,
            "printChanges=0",
            "dumpData=0",
        ]
        store = ["backend=file", f"database=file://{folder}", f"databaseFormat={kind}", f"uri={uri}", "sync=two-way"]
        command = [
            self._programs["syncevolution"], "--daemon=no", "--keyring=no", "--configure", "--template", "SyncEvolution Client", *peer,
            *store, *options, "client@config", source,
        ]  # fmt: skip
        subprocess.run(command, env=self._home.environment, check=True, capture_output=True, timeout=RUN_TIMEOUT)

    def start(self) -> None:
        """Start, and wait until the port takes connections."""
        script = f"/usr/libexec/syncevo-dbus-server -d 600 & exec /usr/bin/python3 {self._programs['syncevo-http-server']} {self.url}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs["dbus-run-session"], "--", "bash", "-c", script], env=self._home.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 30.0
        while time.monotonic() < until:
            assert self._process.poll() is None, self.log.read_text("utf-8", "replace")
            with contextlib.suppress(OSError):
                socket.create_connection((LOOPBACK, self.port), timeout=1).close()
                return
            time.sleep(0.1)
        raise AssertionError(self.log.read_text("utf-8", "replace"))

    def stop(self) -> None:
        """End everything that was started: it is a process group of its own."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(30)
            # Its children end after it, and may still write to the folders that are removed next.
            until = time.monotonic() + 5.0
            with contextlib.suppress(ProcessLookupError):
                while time.monotonic() < until:
                    os.killpg(self._process.pid, 0)
                    time.sleep(0.02)
                os.killpg(self._process.pid, signal.SIGKILL)
