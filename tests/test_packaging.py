"""What is installed is what stands in the tree: packages, data files, the plugin."""

from __future__ import annotations

import ast
import fnmatch
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def literal(name: str) -> object:
    """A constant of setup.py, read without running it."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            return ast.literal_eval(node.value)
    raise AssertionError(f"setup.py has no {name}")


def folders() -> set[str]:
    """The packages that the tree has."""
    return {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "twsync").rglob("__init__.py")}


def test_packages_are_the_folders() -> None:
    """A new package that is not in setup.py's list would be missing from an installed copy."""
    listed = literal("PACKAGES")
    assert isinstance(listed, list)
    assert listed == sorted(listed)
    assert set(listed) == folders() | {"twisted.plugins"}


def test_no_module_outside_a_package() -> None:
    """A module in a folder without ``__init__.py`` would be missing too."""
    outside = [path for path in (ROOT / "twsync").rglob("*.py") if not (path.parent / "__init__.py").exists()]
    assert not outside


def test_data_files_are_listed() -> None:
    """Every file of the product that is not Python is named by a pattern of setup.py, and every pattern finds something."""
    patterns = literal("PACKAGE_DATA")
    assert isinstance(patterns, dict)
    named: set[Path] = set()
    for package, globs in patterns.items():
        base = ROOT.joinpath(*package.split("."))
        for pattern in globs:
            found = {path for path in base.glob(pattern) if path.is_file()}
            assert found, f"{pattern} of {package} names nothing"
            named |= found
    made = ("*.pyc", "*.so", "*.o", "*~", ".*")
    here = {
        path
        for path in (ROOT / "twsync").rglob("*")
        if path.is_file() and path.suffix != ".py" and not any(fnmatch.fnmatch(path.name, pattern) for pattern in made)
    }
    assert here == named


def test_plugin_folders_are_no_packages() -> None:
    """``twisted/__init__.py`` would break Twisted, ``twisted/plugins/__init__.py`` would hide the plugin."""
    assert sorted(path.name for path in (ROOT / "twisted").rglob("*.py")) == ["twsync_plugins.py"]


def test_twistd_lists_both_daemons() -> None:
    """Twisted finds the plugin: both daemons are in twistd's list, and their options load without a warning."""
    twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    for arguments in (["--help"], ["syncctl", "--help"], ["syncpeer", "--help"]):
        done = subprocess.run([*twistd, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        if arguments == ["--help"]:
            assert "syncctl" in done.stdout and "syncpeer" in done.stdout
        else:
            assert "--config" in done.stdout


def test_marked_as_typed() -> None:
    """Type checkers use the annotations of an installed copy (PEP 561)."""
    assert (ROOT / "twsync" / "py.typed").exists()
