"""The C core by itself, under the sanitizers."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.parent / "csrc" / "tests" / "run.sh"


def test_c_tests_under_sanitizers(tmp_path: Path) -> None:
    """csrc/tests builds without a warning and passes under ASan and UBSan. A missing compiler is a failure, not a skip."""
    compiler = os.environ.get("CC", "cc")
    assert shutil.which(shlex.split(compiler)[0]), f"no C compiler {compiler!r}; on Debian and Ubuntu: apt install gcc libc6-dev"
    environment = {**os.environ, "CC": compiler, "OUT": str(tmp_path)}
    done = subprocess.run([str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
