"""A build of twsync to be measured: the interpreter of a virtual environment, a source tree, or a git revision made into one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent


class BuildError(Exception):
    """A build cannot be had; the message says why."""


@dataclass(frozen=True)
class Build:
    """Something to start twsync with.

    :ivar name: as the user named it.
    :ivar python: the interpreter.
    :ivar tree: a folder to put in front of its modules; none if twsync is installed there.
    """

    name: str
    python: str
    tree: Path | None

    def environment(self, compiled: Path) -> dict[str, str]:
        """The environment of its processes.

        :param compiled: a folder for compiled modules, so that each build has them, however it came to be, and none puts them in its tree.
        """
        own = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}}
        own["PYTHONPYCACHEPREFIX"] = str(compiled)
        return {**own, "PYTHONPATH": str(self.tree)} if self.tree else own


def revision(name: str, folder: Path) -> Build:
    """Unpack a revision into `folder` and build it there, C core and all; the repository is only read."""
    packed = subprocess.run(["git", "-C", str(REPOSITORY), "archive", name], capture_output=True, check=False)
    if packed.returncode:
        raise BuildError(f"{name!r} is no interpreter, no source tree and no git revision; {packed.stderr.decode().strip()}")
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    site = folder / "site"
    # By pip, as users have it built; what the product needs besides is this interpreter's for both builds.
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--target",
        str(site),
        str(folder),
    ]
    made = subprocess.run(command, env={**os.environ, "TWSYNC_NATIVE": "yes"}, capture_output=True, check=False)
    if made.returncode:
        last = made.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise BuildError(f"{name} could not be built: {' '.join(last)}")
    return Build(name, sys.executable, site)


def build(name: str, folder: Path) -> Build:
    """The build that a user means.

    :param name: the path of an interpreter, of a source tree whose core is built, or a git revision.
    :param folder: for what has to be made.
    :raises BuildError: it is none of them, or cannot be built.
    """
    path = Path(name)
    if path.is_file() and os.access(path, os.X_OK):
        return Build(name, str(path.absolute()), None)
    if (path / "twsync" / "__init__.py").is_file():
        return Build(name, sys.executable, path.resolve())
    return revision(name, folder)
