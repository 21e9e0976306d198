"""rdiff as a tool: signature, delta and patch one after the other, with no wire between them."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wholesystem.tool import IntoFolders, Missing, Run

MISSING = Missing("rdiff", "there is no rdiff here; on Debian and Ubuntu: apt install rdiff")


class RdiffTool(IntoFolders):
    """The one file of the source, by way of a signature and a delta."""

    name = "rdiff"
    one_file = True

    def sync(self) -> Run:
        """The three steps; the time of each is in the details."""
        (new,) = (path for path in self._source.iterdir() if path.is_file())
        old, made = self._destination / new.name, self._folder / "made"
        signature, difference = self._folder / "signature", self._folder / "delta"
        old.touch()
        work = {
            "signature": [str(old), str(signature)],
            "delta": [str(signature), str(new), str(difference)],
            "patch": [str(old), str(difference), str(made)],
        }
        steps = {}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for step, paths in work.items():
            began = time.perf_counter()
            subprocess.run(["rdiff", step, *paths], check=True)
            steps[step] = round(time.perf_counter() - began, 4)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        made.replace(old)
        size = signature.stat().st_size + difference.stat().st_size
        for path in (signature, difference):
            path.unlink()
        return Run(round(sum(steps.values()), 4), size, round(cpu, 2), details=steps)


@contextmanager
def rdiff_tool(folder: Path) -> Iterator[RdiffTool | Missing]:
    """rdiff, if it is here."""
    if shutil.which("rdiff") is None:
        yield MISSING
        return
    folder.mkdir()
    yield RdiffTool(folder)
