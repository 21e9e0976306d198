"""Three-way merging of texts, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

import msgspec

from twsync import limits

#: Whose word counts where both sides changed the same: one side's, or both sides' lines one behind the other.
Prefer: TypeAlias = Literal["ours", "theirs", "both"]


class MergedLines(msgspec.Struct, frozen=True):
    """The lines, and whether both sides had changed the same ones."""

    lines: tuple[str, ...]
    conflict: bool


def merge_lines(base: Sequence[str] | None, ours: Sequence[str], theirs: Sequence[str], prefer: Prefer) -> MergedLines:
    """Both sides' changes to a text. Swapping the sides (with "both") gives the same.

    :param base: what both sides started from; None: not known, then their common lines stand for it.
    :param prefer: "both" keeps both sides' lines where they differ: the lesser first, so that the order of the sides does not matter.
    """
    if list(ours) == list(theirs) or (base is not None and list(theirs) == list(base)):
        return MergedLines(tuple(ours), False)
    if base is not None and list(ours) == list(base):
        return MergedLines(tuple(theirs), False)
    if max(len(ours), len(theirs), len(base or ())) > limits.MAX_MERGE_LINES:
        return MergedLines(_region(list(ours), list(theirs), prefer), True)
    if base is None:
        first, second = sorted((list(ours), list(theirs)))
        blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
        base = [line for block in blocks for line in first[block.a : block.a + block.size]]
    return _diff3(list(base), list(ours), list(theirs), prefer)


def _matches(base: list[str], side: list[str]) -> dict[int, int]:
    """Which line of a side each kept line of the base is."""
    blocks = SequenceMatcher(None, base, side, autojunk=False).get_matching_blocks()
    return {block.a + step: block.b + step for block in blocks for step in range(block.size)}


def _diff3(base: list[str], ours: list[str], theirs: list[str], prefer: Prefer) -> MergedLines:
    in_ours, in_theirs = _matches(base, ours), _matches(base, theirs)
    merged: list[str] = []
    conflict = False
    at = our = their = 0
    # Lines of the base that both sides kept cut the texts into regions; the end is the last such line.
    anchors = [line for line in range(len(base)) if line in in_ours and line in in_theirs]
    for line in [*anchors, len(base)]:
        our_end, their_end = in_ours.get(line, len(ours)), in_theirs.get(line, len(theirs))
        was, one, other = base[at:line], ours[our:our_end], theirs[their:their_end]
        if one == other or other == was:
            merged += one
        elif one == was:
            merged += other
        elif len(was) == len(one) == len(other):
            # The same lines, changed in place: each is looked at alone.
            for before, mine, yours in zip(was, one, other, strict=True):
                clash = mine != yours and before not in (mine, yours)
                conflict = conflict or clash
                merged += _region([mine], [yours], prefer) if clash else [yours if mine == before else mine]
        else:
            conflict = conflict or bool(was) or prefer != "both"
            merged += _region(one, other, prefer)
        if line < len(base):
            merged.append(base[line])
        at, our, their = line + 1, our_end + 1, their_end + 1
    return MergedLines(tuple(merged), conflict)


def _region(ours: list[str], theirs: list[str], prefer: Prefer) -> tuple[str, ...]:
    if prefer == "ours":
        return tuple(ours)
    if prefer == "theirs":
        return tuple(theirs)
    first, second = sorted((ours, theirs))
    known = frozenset(first)
    return (*first, *(line for line in second if line not in known))
