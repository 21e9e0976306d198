"""Holds the floors of docs/architecture.md: who may import whom, and what the lower floors do without.

The table is read from the document itself, so that the document cannot say one thing and the code another.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ROOT / "twsync"

#: What floors 1 and 2 do without: Twisted, clocks, randomness, logging, files, sockets, processes, databases.
IMPURE = frozenset(
    {"asyncio", "fcntl", "glob", "logging", "mmap", "multiprocessing", "os", "pathlib", "queue", "random", "secrets", "select", "selectors"}
    | {"shutil", "signal", "socket", "sqlalchemy", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "twisted", "uuid"}
    | {"watchdog", "watchfiles", "OpenSSL", "_queue", "_thread"}
)
#: Builtins with the same effect.
IMPURE_CALLS = frozenset({"open", "input", "print"})
#: Calls on otherwise pure modules that ask the clock or the dice.
IMPURE_ATTRIBUTES = frozenset({("datetime", "now"), ("datetime", "today"), ("datetime", "utcnow"), ("date", "today")})
#: The exceptions that docs/architecture.md names: the core's command line opens files and has threads, its package reads TWSYNC_DELTA.
ALLOWED = {
    "twsync/delta/__main__.py": frozenset({"os", "pathlib", "open", "print", "tempfile", "time"}),
    "twsync/delta/__init__.py": frozenset({"os"}),
    "twsync/delta/threads.py": frozenset({"_queue", "_thread"}),
}


@dataclass(frozen=True)
class Unit:
    """A package or module right under ``twsync``, as the table has it."""

    floor: int
    beside: frozenset[str]


@dataclass(frozen=True)
class Import:
    """One import statement: which file, which line, what."""

    path: str
    line: int
    unit: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {', '.join(self.names)}"


def read_table() -> dict[str, Unit]:
    """The units of docs/architecture.md's table of floors."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    units: dict[str, Unit] = {}
    for floor, packages in re.findall(r"^\| ([0-6]) \| (.+?) \|", text, flags=re.MULTILINE):
        for name, beside in re.findall(r"`(\w+)`[^`\[]*(?:\[([^\]]*)\])?", packages):
            units[name] = Unit(int(floor), frozenset(re.findall(r"\w+", beside)))
    return units


UNITS = read_table()


def unit_of(path: Path) -> str:
    """The name right under ``twsync`` that a file belongs to; empty for the package itself."""
    inside = path.relative_to(PRODUCT)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem.replace("__init__", "").replace("__main__", "cli")


def sources() -> list[Path]:
    """All modules of the product."""
    return sorted(path for path in PRODUCT.rglob("*.py") if "__pycache__" not in path.parts)


def imports_of(path: Path, tree: ast.Module) -> Iterator[Import]:
    """Every import of a module, wherever in the module it stands, by absolute names."""
    package = ["twsync", *path.relative_to(PRODUCT).parts[:-1]]
    shown = str(path.relative_to(ROOT))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield Import(shown, node.lineno, unit_of(path), tuple(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield Import(shown, node.lineno, unit_of(path), tuple(f"{start}.{alias.name}" for alias in node.names))


TREES = {path: ast.parse(path.read_bytes()) for path in sources()}
IMPORTS = [found for path, tree in TREES.items() for found in imports_of(path, tree)]


def test_table_names_every_unit() -> None:
    """Each package and module of the product has a floor, and each name in the table exists."""
    assert {unit_of(path) for path in TREES} - {""} == set(UNITS)


def test_imports_go_down() -> None:
    """A module imports only from lower floors, and within its floor only what the table names in brackets."""
    wrong = []
    for found in IMPORTS:
        if not found.unit:
            continue
        own = UNITS[found.unit]
        for name in found.names:
            parts = name.split(".")
            if parts[0] != "twsync" or len(parts) < 2 or parts[1] not in UNITS or parts[1] == found.unit:
                continue
            if UNITS[parts[1]].floor >= own.floor and parts[1] not in own.beside:
                wrong.append(str(found))
    assert not wrong


def test_package_itself_imports_nothing() -> None:
    """``import twsync`` costs nothing: the version is read without loading any floor."""
    assert not [str(found) for found in IMPORTS if not found.unit and any(name.startswith("twsync.") for name in found.names)]


@pytest.mark.parametrize("path", [path for path in TREES if unit_of(path) in UNITS and UNITS[unit_of(path)].floor <= 2], ids=str)
def test_low_floors_are_pure(path: Path) -> None:
    """Floors 0 to 2 touch no network, clock, file, log or dice: times, nonces and bytes are arguments."""
    shown = str(path.relative_to(ROOT))
    allowed = ALLOWED.get(shown, frozenset())
    wrong = []
    for found in imports_of(path, TREES[path]):
        modules = {name.split(".")[0] for name in found.names}
        wrong += [str(found)] if (modules & IMPURE) - allowed else []
    for node in ast.walk(TREES[path]):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in IMPURE_CALLS - allowed:
            wrong.append(f"{shown}:{node.lineno} calls {called.id}()")
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name | ast.Attribute):
            owner = called.value.id if isinstance(called.value, ast.Name) else called.value.attr
            if (owner, called.attr) in IMPURE_ATTRIBUTES:
                wrong.append(f"{shown}:{node.lineno} calls {owner}.{called.attr}()")
    assert not wrong


def test_global_reactor_only_on_top() -> None:
    """Only floor 6 takes the global reactor; everything below is given one."""
    wrong = []
    for found in IMPORTS:
        if any(name.startswith("twisted.internet.reactor") for name in found.names):
            floor = UNITS[found.unit].floor if found.unit else 0
            wrong += [str(found)] if floor < 6 else []
    assert not wrong


def test_twisted_only_from_floor_four_up() -> None:
    """The stores and everything below run without Twisted."""
    wrong = []
    for found in IMPORTS:
        if any(name.split(".")[0] == "twisted" for name in found.names) and found.unit and UNITS[found.unit].floor < 4:
            wrong.append(str(found))
    assert not wrong
