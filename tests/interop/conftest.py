"""A control server with the ports that stock user agents use, and the agents: SIPp and baresip."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twsync.demo.commands import LOOPBACK, free_ports
from twsync.demo.stage import Server

HERE = Path(__file__).parent
PASSWORD = "interop-secret"
REALM = "example.org"
#: Where Debian's baresip-core keeps its modules.
MODULES = Path("/usr/lib/baresip/modules")


class Sip:
    """A running syncctl with a TLS and a plain TCP port, and two users: alice may call bob."""

    def __init__(self, place: Path) -> None:
        self.server = Server.create(place, REALM)
        (self.tcp,) = free_ports(1)
        text = self.server.config.read_text()
        text, listeners = re.subn(r"(?m)^(sip = \[)", rf'\1"tcp:{self.tcp}:interface={LOOPBACK}", ', text)
        assert listeners == 1, text
        text, grants = re.subn(r"(?m)^#? ?across_users = \[.*\]", 'across_users = ["alice -> bob"]', text)
        assert grants == 1, text
        self.server.config.write_text(text)
        for user in ("alice", "bob"):
            self.server.add_user(user, PASSWORD)

    @property
    def tls(self) -> int:
        """The TLS port."""
        return self.server.port

    def devices(self) -> str:
        """What `twsync ctl device list` prints."""
        return self.server.ctl("device", "list").expect(0).stdout


@pytest.fixture(scope="module")
def sip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sip]:
    """The running server."""
    made = Sip(tmp_path_factory.mktemp("interop") / "server")
    with made.server:
        made.server.start()
        made.server.wait_ready()
        yield made


@pytest.fixture
def sipp(program: Callable[[str, str], str], sip: Sip, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """``sipp(scenario, user, target=…)`` starts SIPp on one scenario over TCP; it is ended after the test."""
    path = program("sipp", "sip-tester")
    with contextlib.ExitStack() as stack:

        def start(scenario: str, user: str, target: str = "", *more: str, sign_target: bool = True) -> subprocess.Popen[bytes]:
            keys = {"realm": REALM, "user": user, "target": target, "instance": f"{sum(user.encode()):012}"}
            command = [path, f"{LOOPBACK}:{sip.tcp}", "-sf", str(HERE / "sipp" / f"{scenario}.xml"), "-t", "t1", "-i", LOOPBACK, "-m", "1"]
            if sign_target:  # else SIPp signs the address that it connects to
                command += ["-auth_uri", f"{target}@{REALM}" if target else REALM]
            command += ["-au", user, "-ap", PASSWORD]
            command += ["-nostdin", "-timeout", "20s", "-timeout_error"]
            command += ["-trace_err", "-error_file", str(tmp_path / f"{scenario}-{user}.err"), *more]
            for name, value in keys.items():
                command += ["-key", name, value]
            process = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            stack.callback(end, process)
            return process

        yield start


class Baresip:
    """One running baresip."""

    def __init__(self, path: str, folder: Path, account: str) -> None:
        folder.mkdir()
        (folder / "config").write_text(CONFIG.format(modules=MODULES, listen=LOOPBACK))
        (folder / "accounts").write_text(account + "\n")
        (folder / "contacts").touch()
        self.log = folder / "log"
        with self.log.open("wb") as log:
            # -s prints all SIP messages, -v what becomes of calls; commands come by standard input.
            self.process = subprocess.Popen([path, "-f", str(folder), "-s", "-v"], stdin=subprocess.PIPE, stdout=log, stderr=log)

    def command(self, text: str) -> None:
        """Type a command, such as ``/dial sip:bob@example.org``."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, pattern: str, seconds: float = 15.0) -> None:
        """Wait until the log has a match."""
        until = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            assert self.process.poll() is None, self.text()[-4000:]
            assert time.monotonic() < until, f"no {pattern!r} in: {self.text()[-4000:]}"
            time.sleep(0.05)

    def text(self) -> str:
        """The log so far, without colours and without the empty lines of its status display."""
        return re.sub(r"\n\s*\n+", "\n\n", re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\r", "", self.log.read_text("utf-8", "replace")))


@pytest.fixture
def baresip(program: Callable[[str, str], str], tmp_path: Path) -> Iterator[Callable[..., Baresip]]:
    """``baresip(user, port, transport)`` starts a baresip that registers there and answers every call."""
    path = program("baresip", "baresip-core")
    with contextlib.ExitStack() as stack:

        def start(user: str, port: int, transport: str) -> Baresip:
            options = f"auth_user={user};auth_pass={PASSWORD};regint=60;answermode=auto;audio_codecs=PCMU"
            made = Baresip(path, tmp_path / f"baresip-{user}", f"<sip:{user}@{LOOPBACK}:{port};transport={transport}>;{options}")
            stack.callback(end, made.process)
            return made

        yield start


CONFIG = """\
poll_method epoll
sip_listen {listen}:0
net_interface {listen}
audio_player aubridge,heard
audio_source aubridge,said
audio_alert aubridge,rung
module_path {modules}
module g711.so
module aubridge.so
module stdio.so
module_tmp uuid.so
module_app account.so
module_app menu.so
"""


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process by its id."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            stream.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs a program of another project."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)
