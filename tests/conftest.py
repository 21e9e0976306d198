"""What all tests share: bounded property tests, and programs of other projects."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What the tests of several folders share (tests/contracts/, on the module path by pyproject.toml) asserts too: say what was compared.
pytest.register_assert_rewrite(*(module.stem for module in (Path(__file__).parent / "contracts").glob("*.py")))

# No deadline: on a busy machine it says more about the machine than about the code. A test that wants other numbers says so itself.
settings.register_profile("twsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("twsync")

# A shell starts what runs in the background with Ctrl-C ignored, and that is inherited; the programs tested here must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Set by continuous integration: what is missing there is a failure, so that a test cannot vanish unseen.
STRICT = os.environ.get("TWSYNC_CI") == "1"


@pytest.fixture(scope="session")
def missing() -> Callable[[str], None]:
    """Call it with a sentence that says what this machine lacks: skips the test, or fails it in continuous integration."""

    def say(what: str) -> None:
        if STRICT:
            pytest.fail(f"TWSYNC_CI=1 asks for every test, but {what}")
        pytest.skip(what)

    return say


@pytest.fixture(scope="session")
def program(missing: Callable[[str], None]) -> Callable[[str, str], str]:
    """``program(name, debian_package)`` gives the path of a program of another project."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing(f"there is no {name} here; on Debian and Ubuntu: apt install {package}")
        assert path is not None
        return path

    return find
