"""A build of twsync as a tool: `buildworker` in a process of its own, with the build's modules."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wholesystem.builds import Build, BuildError
from wholesystem.tool import Run

WORKER = Path(__file__).parent / "buildworker.py"


class BuildTool:
    """Asks a worker for each step.

    :param name: ``old`` or ``new``.
    :ivar core: ``native`` or ``pure``: a tree whose C core is not built works without it.
    """

    one_file = False
    core = ""

    def __init__(self, name: str, build: Build, process: subprocess.Popen[str], errors: Path) -> None:
        self.name = name
        self._build, self._process, self._errors = build, process, errors

    def answer(self, question: dict[str, Any] | None = None) -> Any:
        """What the worker says; raises `BuildError` if it has ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if question is not None:
                print(json.dumps(question), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            last = (self._errors.read_text("utf-8", "replace").strip().splitlines() or ["no reason given"])[-1]
            raise BuildError(f"{self._build.name} could not be measured: {last}") from None

    def begin(self, source: Path, number: int) -> Path:
        """An empty destination."""
        return Path(self.answer({"do": "begin", "source": str(source), "number": number})["answer"])

    def sync(self) -> Run:
        """Make the destination equal to the source."""
        return Run(**self.answer({"do": "sync"})["answer"])

    def end(self) -> None:
        """Remove the destination."""
        self.answer({"do": "end"})


@contextmanager
def build_tool(name: str, build: Build, folder: Path, compiled: Path) -> Iterator[BuildTool]:
    """The build with its daemons running; the worker ends them, and is waited for, when the block is left.

    :param folder: for the daemons and what they receive.
    :param compiled: for compiled modules; kept for the next time.
    """
    folder.mkdir()
    errors = folder / "errors"
    with errors.open("w") as log, tempfile.TemporaryDirectory(dir=folder) as made:
        process = subprocess.Popen(
            [build.python, str(WORKER), f"{made}/twsync"],
            env=build.environment(compiled),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        tool = BuildTool(name, build, process, errors)
        try:
            tool.core = tool.answer()["core"]
            yield tool
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
