"""In which order one side carries out its part of a plan.

A disk cannot do everything at once: a name must be free before something else stands there, a directory must be there before what is in
it and go after it. And deletes come last, so that a renamed file's content is still found under its old name when it is wanted under the
new one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twsync.reconcile.compare import Change, Work, ancestors, change, work
from twsync.reconcile.model import Item, Kind, Side
from twsync.reconcile.operation import Operation


class Phase(enum.IntEnum):
    """What belongs together; every step of a phase is done before the next phase begins."""

    RECORD = 0
    "Journal rows only; no order among them."
    SET_ASIDE = 1
    "Losing content is renamed to its conflict name."
    CLEAR = 2
    "What stands below a directory that is to become a file or link is removed, the deepest first."
    DIRECTORIES = 3
    "Directories are made, the highest first; a file or link that stands there goes to the trash just before."
    PLACE = 4
    "Files and links are placed, modes and times of files set; what stood there (also an empty directory) goes to the trash."
    REMOVE = 5
    "Everything else is removed, the deepest first."
    DIRECTORY_METADATA = 6
    "Modes and times of directories, made or kept, the deepest first: work inside them changes their time."


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do for one operation. KEEP_BOTH and new directories take two steps."""

    phase: Phase
    operation: Operation
    work: Work
    own: Item | None
    "The row that the side held when the steps were made: what must still be there when it is carried out."

    @property
    def change(self) -> Change | None:
        """What the session report counts, once an operation: nothing for the steps that prepare or finish another."""
        if self.phase is Phase.SET_ASIDE or (self.phase is Phase.DIRECTORY_METADATA and self.work is Work.DIRECTORY):
            return None
        return change(self.own, self.operation.result)


def steps(operations: Iterable[Operation], side: Side, own: Callable[[bytes], Item | None]) -> list[Step]:
    """The steps of `side`, in order. Operations that change nothing there give none.

    :param own: the side's own journal row of a key.

    A DIRECTORY's time is set by its second step, in the last phase (its `work` is still ``DIRECTORY`` there).
    """
    found: list[Step] = []
    becoming_leaves: set[bytes] = set()
    for operation in operations:
        if side not in operation.sides:
            continue
        row = own(operation.key)
        todo = work(row, operation.result)
        if todo is Work.NOTHING:
            continue
        if operation.loser is side and row is not None and row.live and row.kind is not Kind.DIRECTORY and todo in _REPLACING:
            found.append(Step(Phase.SET_ASIDE, operation, todo, row))
        if todo in (Work.CONTENT, Work.LINK) and row is not None and row.kind is Kind.DIRECTORY:
            becoming_leaves.add(operation.key)
        found.append(Step(_PHASE[todo], operation, todo, row))
        if todo is Work.DIRECTORY:
            found.append(Step(Phase.DIRECTORY_METADATA, operation, todo, row))
    return sorted((_placed(step, becoming_leaves) for step in found), key=_order)


_REPLACING = frozenset({Work.CONTENT, Work.LINK, Work.DIRECTORY})

_PHASE = {
    Work.RECORD: Phase.RECORD,
    Work.DIRECTORY: Phase.DIRECTORIES,
    Work.CONTENT: Phase.PLACE,
    Work.LINK: Phase.PLACE,
    Work.METADATA: Phase.PLACE,
    Work.REMOVE: Phase.REMOVE,
}


def _placed(step: Step, becoming_leaves: set[bytes]) -> Step:
    """The step in the phase that its surroundings ask for."""
    if step.phase is Phase.REMOVE and any(above in becoming_leaves for above in ancestors(step.operation.key)):
        return Step(Phase.CLEAR, step.operation, step.work, step.own)
    if step.work is Work.METADATA and step.operation.result.kind is Kind.DIRECTORY:
        return Step(Phase.DIRECTORY_METADATA, step.operation, step.work, step.own)
    return step


def _order(step: Step) -> tuple[int, int, bytes]:
    """Phases in turn; inside one by depth: down for what is made, up for what goes."""
    depth = step.operation.key.count(b"/")
    upwards = step.phase in (Phase.CLEAR, Phase.REMOVE, Phase.DIRECTORY_METADATA)
    return step.phase, -depth if upwards else depth, step.operation.key
