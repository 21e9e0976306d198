"""Content into staging in one step: what is on this host already, and bundles of small files. Work for a writer's thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twsync.errors import ProtocolError
from twsync.peer.needs import Need
from twsync.peer.pace import unpack
from twsync.peerwire.frames import FrameType, Payload
from twsync.store.changes import Change
from twsync.store.journal import CollectionJournal
from twsync.store.localcopy import copy_content
from twsync.store.paths import Gate
from twsync.store.staging import Staged, Staging


def find_here(needs: Sequence[Need], gate: Gate, journal: CollectionJournal, staging: Staging, search: bool) -> list[list[Staged] | None]:
    """For each need, staged files for its changes if this host can meet it by itself.

    :param search: whether the collection is searched, and not only what an earlier session left.
    """
    found: list[list[Staged] | None] = []
    for need in needs:
        if not need.size:
            staged = staging.put(need.content, b"")
        elif search:
            staged = copy_content(gate, journal, staging, need.content, need.size)
        else:
            staged = staging.adopt(need.content, need.size)
        found.append(None if staged is None else for_all(need, staged, staging))
    return found


def claim_all(here: Sequence[tuple[Need, Staged]], staging: Staging) -> list[Change]:
    """The changes of needs whose content is staged once, with a staged file for each."""
    changes: list[Change] = []
    for need, staged in here:
        if len(need.changes) == 1:
            changes.append(_with(need.changes[0], staged))
        else:
            changes += with_contents([(need, for_all(need, staged, staging))])
    return changes


def with_contents(done: Iterable[tuple[Need, Sequence[Staged]]]) -> list[Change]:
    """The changes of needs with their staged files, one for each change."""
    changes: list[Change] = []
    for need, staged in done:
        if len(need.changes) == 1 == len(staged):  # as nearly all, and a `zip` for each takes twice the time of a change
            changes.append(_with(need.changes[0], staged[0]))
        else:
            changes += [_with(change, one) for change, one in zip(need.changes, staged, strict=True)]
    return changes


def _with(change: Change, staged: Staged) -> Change:
    return Change(change.item, change.expected, staged, change.displaced, change.partner)


def for_all(need: Need, staged: Staged, staging: Staging) -> list[Staged]:
    """One staged file for each change of a need."""
    return [staged, *(staging.duplicate(staged) for _change in need.changes[1:])]


def stage_bundle(
    needs: Sequence[Need], files: Sequence[tuple[str, int]], kind: FrameType, payload: Payload, staging: Staging
) -> list[list[Staged] | None]:
    """Stage the files of a bundle; None for those that do not come or are not what was asked for.

    :param files: status and size of each, as the answer began.
    :param payload: the one data frame of the answer.
    :raises ProtocolError: it has another size than the files.
    """
    content = unpack(kind, payload)
    if len(content) != sum([size for _status, size in files]):
        raise ProtocolError("a bundle of another size than it says")
    staged = staging.put_many(content, [need.changes[0].item for need, (status, _size) in zip(needs, files, strict=True) if status == "ok"])
    results: list[list[Staged] | None] = []
    found, at = iter(staged), 0
    for need, (status, size) in zip(needs, files, strict=True):
        one = next(found) if status == "ok" else None
        results.append(None if one is None else [one] if len(need.changes) == 1 else _all(need, one, content[at : at + size], staging))
        at += size
    return results


def _all(need: Need, first: Staged, data: Payload, staging: Staging) -> list[Staged]:
    staged = [first]
    for change in need.changes[1:]:
        one = staging.put(need.content, data, mode=change.item.mode, mtime_ns=change.item.mtime_ns)
        assert one is not None  # the first was of that content
        staged.append(one)
    return staged
