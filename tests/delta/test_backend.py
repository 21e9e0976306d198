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
    assert (choose("pure").NAME, choose("pure").KERNEL) == ("pure", "python")
    best = core("native").KERNEL
    assert best in {"portable", "avx2", "avx512"}
    assert ("native", best) == (choose("native").NAME, choose("native").KERNEL)
    assert ("native", best) == (choose("auto").NAME, choose("auto").KERNEL)


@pytest.mark.parametrize("kernel", ["portable", "avx2", "avx512"])
def test_demanded_kernel(core, kernel: str) -> None:
    """The one that was named is taken, not the best."""
    core(f"native:{kernel}")
    assert kernel == choose(f"native:{kernel}").KERNEL


@pytest.mark.parametrize("kernel", ["", "sse", "avx", "AVX2"])
def test_demanded_kernel_missing(core, kernel: str) -> None:
    """A kernel that there is not is an error that names it."""
    core("native")
    with pytest.raises(BackendError, match=f"no kernel '{kernel}'"):
        choose(f"native:{kernel}")


@pytest.mark.parametrize("wish", ["", "Native", "c", "python", "pure:avx2", "auto:avx2", "auto:"])
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
    done = run("pure", "-c", "from twsync import delta; print(delta.BACKEND, delta.KERNEL, delta.signature.__module__)")
    assert done.stdout.split() == ["pure", "python", "twsync.delta"]
    done = run("native:portable", "-c", "from twsync import delta; print(delta.BACKEND, delta.KERNEL)")
    assert done.stdout.split() == ["native", "portable"]


def test_start_is_light() -> None:
    """The command loads neither Twisted nor msgspec, nor what would double its start."""
    script = "import sys, twsync.delta.__main__; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in run("native", "-c", script).stdout.split()}
    heavy = {"twisted", "msgspec", "dataclasses", "typing", "tempfile", "pathlib", "logging"}
    assert not loaded & heavy - {name.partition(".")[0] for name in run(None, "-c", "import sys; print(*sys.modules)").stdout.split()}


def test_command_with_unknown_wish() -> None:
    """One line and exit code 1, no traceback."""
    done = run("nonsense", "-m", "twsync.delta", "signature", "-", "-")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "auto, native or pure" in done.stderr
