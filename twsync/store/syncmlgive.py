"""What the other side has to be told, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from twsync import limits
from twsync.errors import FormatError
from twsync.reconcile import safety
from twsync.reconcile.model import Kind, SyncType
from twsync.store.syncmlmap import Candidate, Held
from twsync.store.syncmlsession import RecordSession, name_of
from twsync.syncml.chunking import octets
from twsync.syncml.clientresult import REASONS, column
from twsync.syncml.datastore import Action, Outgoing

#: Statuses with which a change is done: it was carried out, was there already, or lost a conflict, whose winner the server sends.
_ALSO_DONE = frozenset({304, 418, 419})
#: Of the 2xx, those that do not say that it was done: accepted for later, a chunk, cancelled, not executed.
_UNDECIDED = frozenset({202, 213, 214, 215})
#: The item is not there (any more).
_UNKNOWN = frozenset({404, 410})


class Giving:
    """The own changes of one session."""

    def __init__(self, session: RecordSession) -> None:
        self._session = session
        self._candidates: list[Candidate] | None = None
        self._given: dict[bytes, Candidate] = {}
        self._copies: dict[bytes, bytes] | None = None
        self._answered: list[Candidate] = []

    def count(self) -> int:
        """How many there are."""
        return len(self._out())

    def changes(self) -> Iterator[Outgoing]:
        """Each once, some at a time: names that are set aside are written before the first of them leaves."""
        found = self._out()
        for start in range(0, len(found), limits.RECORDS_TOGETHER):
            yield from list(self._some(found[start : start + limits.RECORDS_TOGETHER]))

    def sent(self, change: Outgoing, status: int) -> None:
        """The other side has answered."""
        key = change.key.encode()
        candidate = self._given.get(key)
        if candidate is None:
            return
        session, maps = self._session, self._session.maps
        if change.action is Action.DELETE:
            if _done(status) or status in _UNKNOWN:
                with session.journal.database.transaction():
                    maps.drop([key])
            if _done(status):
                self._count(change, candidate, status)
            return
        if _done(status):
            self._answered.append(candidate)
            self._count(change, candidate, status)
        elif status in _UNKNOWN and change.action is Action.REPLACE:
            with session.journal.database.transaction():
                maps.drop([key])
                maps.owe([key])
        else:
            session.report.skipped.append((key, REASONS.get(status, "failed")))

    def mapped(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """The client says where it stored Adds (GUID, LUID); the statuses."""
        maps = self._session.maps
        statuses: list[int] = []
        found: list[Held] = []
        names: set[tuple[int, str]] = set()
        keys = {held.key for held in maps.read_ahead("guid", (guid for guid, _ in pairs))}
        # What is mapped is written once, with what was answered; a name may be taken from what else was answered.
        mapped, self._answered = [one for one in self._answered if one.key in keys], [one for one in self._answered if one.key not in keys]
        if self._answered:
            self.settle()
            maps.read_ahead("guid", (guid for guid, _ in pairs))
        self._answered = mapped
        with self._session.journal.database.transaction():
            for guid, luid in pairs:
                if not names.isdisjoint(((0, guid), (1, luid))):
                    # What is said of a name twice holds in its order.
                    self._mapped(found)
                    found, names = [], set()
                names |= {(0, guid), (1, luid)}
                held = maps.by_guid(guid)
                statuses.append(404 if held is None else 200)
                if held is not None and held.luid != luid:
                    found.append(replace(held, luid=luid, held=True))
            self._mapped(found)
        return statuses

    def settle(self) -> None:
        """Write what was answered: a message's answers together, and before anything else is done. Lost by a crash, they never came."""
        answered, self._answered = self._answered, []
        if answered:
            session = self._session
            with session.journal.database.transaction():
                session.maps.received(
                    ((one.key, one.content, one.version) for one in answered), session.partner.stamp if session.compares else None
                )

    # --- inside

    def _mapped(self, found: list[Held]) -> None:
        """Write names of the client, and what it holds under them: what this session has given it."""
        maps, given, session = self._session.maps, self._given, self._session
        rows = []
        for held in found:
            one = given.get(held.key)
            if one is not None:
                stamp = session.partner.stamp if session.compares else held.stamp
                held = replace(held, soft=False, base=one.content, version=one.version, stamp=stamp)
            rows.append(held)
        keys = {held.key for held in found}
        self._answered = [one for one in self._answered if one.key not in keys]
        maps.put(rows)
        # The rows of others may have changed while the client's names for them were not known.
        maps.owe(keys.difference(given))

    def _count(self, change: Outgoing, candidate: Candidate, status: int) -> None:
        """An item of the other side is another one now, as its user sees it."""
        session, sent, held = self._session, self._session.report.sent, candidate.held
        if change.record is not None:
            sent.bytes += octets(change.record.data)
        if change.action is Action.REPLACE and held is not None and held.base == candidate.content:
            return  # its version alone travelled
        match column(change.action, status, session.compares):
            case 0:
                sent.added += 1
            case 1:
                sent.changed += 1
            case 2:
                sent.deleted += 1
                session.deleted_there.add(candidate.key)

    def _out(self) -> list[Candidate]:
        if self._candidates is None:
            session = self._session
            if not session.sends:
                self._candidates = []
            elif session.compares:
                self._candidates = session.maps.unmet(session.partner.stamp, dropped=session.sync_type is SyncType.REFRESH_FROM_SERVER)
            else:
                self._candidates = self._guarded(session.maps.out_of_step(session.partner.seq))
            # One that it has, but whose name there is not known yet, has to wait for that name.
            # Rows of the time when this was a collection of files may be no records.
            travels = session.folder.names.travels
            self._candidates = [
                one for one in self._candidates if travels(one.key) and (not self._holds(one) or self._their_name(one) is not None)
            ]
            # First what is deleted: a renamed record is a deleted and a new one, and the new one meets what the other side made of it.
            self._candidates.sort(key=lambda one: one.kind is not Kind.DELETED)
        return self._candidates

    def _guarded(self, found: list[Candidate]) -> list[Candidate]:
        """A stock device or server has no guard of its own.

        :raises SessionError: `too-many-deletes`, here as client: a person is there to allow it.
        """
        session = self._session
        deletes = sum(one.kind is Kind.DELETED for one in found)
        if deletes <= limits.DELETE_GUARD_ITEMS:
            return found
        guard = safety.guard_deletes(
            deletes,
            session.journal.live_count() + deletes,
            allowed=session.terms.allow_deletes or session.peer.twsync,
            where=session.peer.device,
        )
        if guard is None:
            return found
        if not session.server:
            raise guard
        session.report.skipped += [(one.key, safety.TOO_MANY_DELETES) for one in found if one.kind is Kind.DELETED]
        return [one for one in found if one.kind is not Kind.DELETED]

    def _holds(self, candidate: Candidate) -> bool:
        held, session = candidate.held, self._session
        if held is None or not held.held or held.soft:
            return False
        return not session.compares or held.stamp == session.partner.stamp

    def _their_name(self, candidate: Candidate) -> str | None:
        """What the partner calls an item that it holds."""
        held = candidate.held
        if not self._session.server:
            return name_of(candidate.key)
        return held.luid if held is not None else None

    def _some(self, found: list[Candidate]) -> Iterator[Outgoing]:
        self.settle()
        session = self._session
        reserved: list[Held] = []
        session.journal.texts.read_ahead(one.content for one in found if one.content)
        with session.journal.database.transaction():
            for candidate in found:
                change = self._change(candidate, reserved)
                if change is not None:
                    self._given[candidate.key] = candidate
                    yield change
            session.maps.put(reserved)

    def _change(self, candidate: Candidate, reserved: list[Held]) -> Outgoing | None:
        session, key = self._session, candidate.key
        version = candidate.version if session.peer.twsync else b""
        if candidate.kind is Kind.DELETED:
            name = self._their_name(candidate)
            return None if name is None else Outgoing(Action.DELETE, name, name_of(key), None, version)
        name = self._their_name(candidate) if self._holds(candidate) else None
        text = session.journal.texts.get(candidate.content)
        if text is None:
            session.report.skipped.append((key, "changing"))
            return None
        try:
            record = session.edge.outgoing(text, version)
        except FormatError:
            session.report.skipped.append((key, "not-convertible"))
            return None
        if name is not None:
            return Outgoing(Action.REPLACE, name, name_of(key), record)
        record = replace(record, copy_of=self._copy_of(key))
        if not session.server:
            if candidate.held is None:
                reserved.append(Held(key))
            return Outgoing(Action.ADD, name_of(key), name_of(key), record)
        guid = name_of(key) if session.peer.twsync else None
        if guid is None:
            guid = (candidate.held.guid if candidate.held is not None else None) or str(session.maps.number())
        if candidate.held is not None and candidate.held.held:
            # What was known before holds until the client says more.
            reserved.append(replace(candidate.held, guid=guid, told=True))
        else:
            reserved.append(Held(key, guid=guid, told=True, base=candidate.content, version=candidate.version))
        return Outgoing(Action.ADD, guid, name_of(key), record)

    def _copy_of(self, key: bytes) -> str:
        """What the client calls the item of which this is the copy of an open conflict, so that the conflict is listed there too."""
        session = self._session
        if self._copies is None:
            found = session.journal.conflicts.list(session.journal.name) if session.peer.twsync else []
            self._copies = {conflict.copy: conflict.key for conflict in found}
        original = self._copies.get(key)
        if original is None:
            return ""
        if not session.server:
            return name_of(original)
        held = session.maps.by_key(original)
        return held.luid or "" if held is not None else ""


def _done(status: int) -> bool:
    return (200 <= status < 300 and status not in _UNDECIDED) or status in _ALSO_DONE
