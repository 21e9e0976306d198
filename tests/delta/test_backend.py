"""Which implementation is taken, and what is said when a demand cannot be met."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from twsync import delta
from twsync.delta.backend import BackendError, choose
from twsync.errors import ConfigError


def test_demands(core) -> None:
    """Each name gives its implementation; auto prefers the C core."""
    assert choose("pure").NAME == "pure"
    assert choose("native") is core("native")
    assert choose("auto") is core("native")


@pytest.mark.parametrize("wish", ["", "Native", "c", "python"])
def test_unknown_wish(wish: str) -> None:
    """An unknown value is an error, not the default."""
    with pytest.raises(BackendError, match="auto, native or pure"):
        choose(wish)


def test_native_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the C core `auto` is pure, and `native` an error of both families that says what to do."""
    monkeypatch.delitem(sys.modules, "twsync.delta._native", raising=False)
    monkeypatch.setitem(sys.modules, "twsync.delta._core", None)
    monkeypatch.delattr(delta, "_native", raising=False)
    assert choose("auto").NAME == "pure"
    with pytest.raises(ImportError, match="TWSYNC_NATIVE=yes") as refused:
        choose("native")
    assert isinstance(refused.value, ConfigError)


def run(wish: str | None, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TWSYNC_DELTA"}
    if wish is not None:
        environment["TWSYNC_DELTA"] = wish
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=60)


def test_environment() -> None:
    """The package takes what TWSYNC_DELTA says, and says what it took."""
    done = run("pure", "-c", "from twsync import delta; print(delta.BACKEND, delta.signature.__module__)")
    assert done.stdout.split() == ["pure", "twsync.delta"]


def test_command_with_unknown_wish() -> None:
    """One line and exit code 1, no traceback."""
    done = run("nonsense", "-m", "twsync.delta", "signature", "-", "-")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "auto, native or pure" in done.stderr
