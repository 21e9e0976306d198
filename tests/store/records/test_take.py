"""What becomes of a stock client's changes: statuses, maps, merges, guards (fact sheet sections 5 and 6)."""

from __future__ import annotations

import pytest

from twsync import limits
from twsync.errors import SessionError, StoreError
from twsync.reconcile.model import RecordPolicy, Side, SyncType
from twsync.reconcile.versions import Order, Version
from twsync.store.ignore import Ignore
from twsync.store.packing import pack_version
from twsync.store.scan import scan
from twsync.store.syncmlsession import Counts, Terms
from twsync.syncml.datastore import Action, Anchors, Incoming, Peer, Record
from twsync.syncml.document import ContentType, CTCap, DataStore, DevInf, Property, Protocol

TYPE = "text/vcard"


def phone(*properties: str) -> Peer:
    """A device; with properties: all that it can store."""
    ctcap = CTCap(TYPE, "3.0", False, tuple(Property(name) for name in ("BEGIN", "END", "VERSION", *properties)))
    store = DataStore("contacts", rx_pref=ContentType(TYPE, "3.0"), tx_pref=ContentType(TYPE, "3.0"), ctcaps=(ctcap,) if properties else ())
    return Peer("IMEI:1", "alice", DevInf(Protocol.V1_2, "IMEI:1", utc=True, datastores=(store,)), store)


@pytest.fixture
def server(make_box):
    return make_box("desktop")


def add(luid: str, text: str) -> Incoming:
    return Incoming(Action.ADD, luid, Record(TYPE, text))


def change(luid: str, text: str, **more) -> Incoming:
    return Incoming(Action.REPLACE, luid, Record(TYPE, text), **more)


def gone(luid: str, **more) -> Incoming:
    return Incoming(Action.DELETE, luid, **more)


class Session:
    """One of the phone's sessions."""

    def __init__(self, box, kind: SyncType = SyncType.TWO_WAY, peer: Peer | None = None, resumed: bool = False, **terms) -> None:
        self.store = box.open(peer or phone(), Side.SERVER, **terms)
        self.store.begin(kind, resumed)

    def take(self, *changes: Incoming) -> list[int]:
        return [outcome.status for outcome in self.store.take(changes)]

    def give(self, status: int | None = 200, luid: str | None = "L") -> list[tuple[str, str]]:
        """Read what it has to say; answer with a status, and map Adds to LUIDs."""
        self.store.received_all()
        found = []
        for number, one in enumerate(list(self.store.changes())):
            found.append((str(one.action), one.id))
            if status is not None:
                self.store.sent(one, status)
            if one.action is Action.ADD and luid is not None:
                assert self.store.map([(one.id, f"{luid}{number}")]) == [200]
        return found

    def end(self, commit: bool = True) -> None:
        if commit:
            self.store.commit(Anchors("s", "c"))
        self.store.close()


def hold(box, *changes: Incoming, kind: SyncType = SyncType.TWO_WAY, peer: Peer | None = None, **terms) -> tuple[list[int], list]:
    session = Session(box, kind, peer, **terms)
    statuses = session.take(*changes)
    given = session.give()
    session.end()
    return statuses, given


def test_an_add_makes_a_file_named_by_its_uid(server, tools) -> None:
    assert hold(server, add("1", tools.card("Ann"))) == ([201], [])
    assert list(server.files()) == ["Ann.vcf"]
    assert (server.root / "Ann.vcf").stat().st_mode & 0o777 == 0o600


def test_an_add_of_a_mapped_name_is_a_replace(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    assert hold(server, add("1", tools.card("Ann", "TEL:5")))[0] == [200]
    assert hold(server, add("1", tools.card("Ann", "TEL:5")))[0] == [200]
    assert len(server.files()) == 1
    assert "TEL:5" in server.files()["Ann.vcf"]


def test_a_replace_of_an_unknown_name_is_an_add(server, tools) -> None:
    assert hold(server, change("9", tools.card("Ann")))[0] == [201]


def test_a_delete_of_an_unknown_name(server) -> None:
    assert hold(server, gone("9"))[0] == [211]


def test_a_delete_goes_to_the_trash(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    assert hold(server, gone("1"))[0] == [200]
    assert server.files() == {}
    assert "FN:Ann" in server.trash()[0]
    assert hold(server, gone("1"))[0] == [211]


def test_a_name_that_is_used_again_after_a_delete_is_another_item(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    hold(server, gone("1"))
    assert hold(server, add("1", tools.card("Bob"))) == ([201], [])
    assert list(server.files()) == ["Bob.vcf"]


def test_several_changes_of_one_name_in_one_message_are_done_in_order(server, tools) -> None:
    statuses, given = hold(
        server, add("1", tools.card("Ann")), change("1", tools.card("Ann", "TEL:2")), gone("1"), add("1", tools.card("Bob"))
    )
    assert (statuses, given) == ([201, 200, 200, 201], [])
    assert list(server.files()) == ["Bob.vcf"]


def test_what_is_no_record_is_refused_and_the_others_are_taken(server, tools) -> None:
    assert hold(server, add("1", "nonsense"), add("2", tools.card("Ann")), add("", tools.card("Bob")))[0] == [415, 201, 414]
    assert list(server.files()) == ["Ann.vcf"]


def test_an_unchanged_item_is_not_sent_back(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")))
    assert hold(server)[1] == []
    assert hold(server, change("1", tools.card("Ann", "TEL:1"))) == ([200], [])
    assert hold(server)[1] == []


def test_edits_on_both_sides_are_merged_and_sent(server, tools) -> None:
    hold(server, add("1", tools.card("Ann", "TEL:1")))
    server.write("Ann.vcf", tools.card("Ann", "TEL:1", "NOTE:here"))
    assert hold(server, change("1", tools.card("Ann", "TEL:1", "EMAIL:a@example.org"))) == ([207], [("Replace", "1")])
    text = server.files()["Ann.vcf"]
    assert "NOTE:here" in text
    assert "EMAIL:a@example.org" in text
    assert [(one.resolution, one.copy) for one in server.journal.conflicts.list(open_only=False)] == [("merged", b"")]


@pytest.mark.parametrize(
    ("policy", "status", "files", "given"),
    [
        (RecordPolicy.OURS, 208, 1, []),
        (RecordPolicy.THEIRS, 419, 1, [("Replace", "1")]),
        (RecordPolicy.DUPLICATE, 209, 2, [("Add", "1")]),
    ],
)
def test_the_policy_decides_and_nothing_is_lost(server, tools, policy, status, files, given) -> None:
    hold(server, add("1", tools.card("Ann", "NOTE:first")))
    server.write("Ann.vcf", tools.card("Ann", "NOTE:here"))
    assert hold(server, change("1", tools.card("Ann", "NOTE:there")), policy=policy) == ([status], given)
    assert len(server.files()) == files
    kept = "".join([*server.files().values(), *server.trash()])
    assert "NOTE:here" in kept
    assert "NOTE:there" in kept
    assert hold(server)[1] == []
    conflicts = server.journal.conflicts.list(open_only=False)
    assert [one.resolution for one in conflicts] == [{208: "ours", 419: "theirs", 209: "duplicate"}[status]]
    assert bool(conflicts[0].copy) is (policy is RecordPolicy.DUPLICATE)


def test_what_the_device_says_again_loses_to_an_edit_here(server, tools) -> None:
    hold(server, add("1", tools.card("Ann", "TEL:1")))
    server.write("Ann.vcf", tools.card("Ann", "TEL:2"))
    assert hold(server, change("1", tools.card("Ann", "TEL:1"))) == ([200], [("Replace", "1")])
    assert "TEL:2" in server.files()["Ann.vcf"]


def test_an_edit_here_survives_a_delete_there(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    server.write("Ann.vcf", tools.card("Ann", "TEL:1"))
    assert hold(server, gone("1")) == ([200], [("Add", "1")])


def test_an_edit_there_survives_a_delete_here(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    server.delete("Ann.vcf")
    statuses, given = hold(server, change("1", tools.card("Ann", "TEL:1")), allow_deletes=True)
    assert (statuses, given) == ([201], [])
    assert "TEL:1" in server.files()["Ann.vcf"]


def test_what_the_device_says_again_does_not_undo_a_delete_here(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")))
    server.delete("Ann.vcf")
    assert hold(server, change("1", tools.card("Ann"))) == ([200], [("Delete", "1")])
    assert hold(server)[1] == []


def test_a_soft_delete_keeps_the_item_until_it_changes(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    assert hold(server, gone("1", soft=True)) == ([200], [])
    assert list(server.files()) == ["Ann.vcf"]
    assert hold(server)[1] == []
    server.write("Ann.vcf", tools.card("Ann", "TEL:1"))
    assert hold(server)[1] == [("Add", "1")]
    assert hold(server, change("L0", tools.card("Ann", "TEL:2"))) == ([200], [])
    assert len(server.files()) == 1


@pytest.mark.parametrize("how", ["soft", "archive"])
def test_what_a_device_dropped_comes_back_only_when_it_asks(server, tools, how) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")))
    assert hold(server, gone("1", **{how: True})) == ([200], [])
    for _ in range(2):
        assert hold(server, add("2", tools.card("Bob")), kind=SyncType.SLOW) == ([200], [])
    assert hold(server, add("2", tools.card("Bob")), kind=SyncType.REFRESH_FROM_CLIENT) == ([200], [])
    assert sorted(server.files()) == ["Ann.vcf", "Bob.vcf"]
    assert len(hold(server, kind=SyncType.REFRESH_FROM_SERVER)[1]) == 2
    assert hold(server)[1] == []
    assert hold(server, gone("L0"))[0] == [200]
    assert list(server.files()) == ["Bob.vcf"]


def test_what_a_device_dropped_and_has_again_is_one(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    hold(server, gone("1", soft=True))
    assert hold(server, add("7", tools.card("Ann")), kind=SyncType.SLOW) == ([200], [])
    assert list(server.files()) == ["Ann.vcf"]
    assert hold(server, gone("7"))[0] == [200]
    assert server.files() == {}


def test_what_a_server_drops_softly_goes_here_and_is_not_deleted_there(server, tools) -> None:
    peer = Peer("http://server", "alice", None, None)
    store = server.open(peer, Side.CLIENT)
    store.begin(SyncType.SLOW, False)
    assert [one.status for one in store.take([add("g1", tools.card("Ann"))])] == [201]
    store.commit(Anchors("c", "s"))
    store.close()
    store = server.open(peer, Side.CLIENT)
    store.begin(SyncType.TWO_WAY, False)
    assert [one.status for one in store.take([gone("Ann.vcf", soft=True)])] == [200]
    assert server.files() == {}
    assert list(store.changes()) == []
    store.commit(Anchors("c2", "s2"))
    store.close()


def test_a_part_is_put_into_the_whole(server, tools) -> None:
    hold(server, add("1", tools.card("Ann", "TEL:1", "NOTE:stays")))
    part = tools.card("Ann", "TEL:2").replace("N:Ann;;;;\r\n", "")
    assert hold(server, change("1", part, partial=True))[0] == [200]
    text = server.files()["Ann.vcf"]
    assert "NOTE:stays" in text
    assert "TEL:2" in text
    assert hold(server, change("7", part, partial=True))[0] == [404]


def test_a_part_without_a_name_keeps_the_name(server, tools) -> None:
    hold(server, add("1", tools.card("Ann", "TEL:1", "NOTE:stays")))
    part = "BEGIN:VCARD\r\nVERSION:3.0\r\nTEL:2\r\nEND:VCARD\r\n"
    assert hold(server, change("1", part, partial=True))[0] == [200]
    (text,) = server.files().values()
    assert {"N:Ann;;;;", "FN:Ann", "TEL:2", "NOTE:stays"} < set(text.splitlines())
    assert "TEL:1" not in text
    assert hold(server, change("7", part, partial=True))[0] == [404]


def test_what_a_device_cannot_store_is_not_taken_for_deleted(server, tools) -> None:
    peer = phone("UID", "N", "FN", "TEL")
    server.write("Ann.vcf", tools.card("Ann", "TEL:1", "NOTE:stays", "X-MINE:too"))
    assert hold(server, kind=SyncType.SLOW, peer=peer)[1] == [("Add", "1")]
    assert hold(server, change("L0", tools.card("Ann", "TEL:2")), peer=peer) == ([200], [])
    text = server.files()["Ann.vcf"]
    assert "NOTE:stays" in text
    assert "X-MINE:too" in text
    assert "TEL:2" in text
    # And the same once more is no change.
    assert hold(server, change("L0", tools.card("Ann", "TEL:2")), peer=peer) == ([200], [])
    assert server.files()["Ann.vcf"] == text


# --- slow and refresh


def test_a_slow_sync_of_the_same_makes_no_duplicate_and_twice_is_once(server, tools) -> None:
    server.write("a.vcf", tools.card("Ann", "TEL:1"))
    server.write("b.vcf", tools.card("Bob", "TEL:2", uid="other"))
    same = (add("1", tools.card("Ann", "TEL:1")), add("2", tools.card("Bob", "TEL:2", uid="")))
    for _ in range(3):
        assert hold(server, *same, kind=SyncType.SLOW) == ([200, 200], [])
        assert sorted(server.files()) == ["a.vcf", "b.vcf"]


def test_a_slow_sync_pairs_each_own_item_once(server, tools) -> None:
    server.write("a.vcf", tools.card("Ann", "TEL:1"))
    statuses, _ = hold(
        server, add("1", tools.card("Ann", "TEL:1", uid="")), add("2", tools.card("Ann", "TEL:1", uid="")), kind=SyncType.SLOW
    )
    assert sorted(statuses) == [200, 201]
    assert len(server.files()) == 2


def test_a_slow_sync_merges_what_differs(server, tools) -> None:
    server.write("a.vcf", tools.card("Ann", "TEL:1"))
    assert hold(server, add("1", tools.card("Ann", "EMAIL:a@example.org")), kind=SyncType.SLOW) == ([207], [("Replace", "1")])
    assert "TEL:1" in server.files()["a.vcf"]
    assert "EMAIL:a@example.org" in server.files()["a.vcf"]


def test_names_of_a_reset_device_are_not_believed_in_a_slow_sync(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")))
    assert hold(server, add("1", tools.card("Bob")), add("2", tools.card("Ann")), kind=SyncType.SLOW) == ([200, 200], [])
    assert hold(server, change("1", tools.card("Bob", "TEL:1")))[0] == [200]
    assert "TEL:1" in server.files()["Bob.vcf"]


def test_a_slow_sync_that_breaks_off_leaves_the_old_map(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")))
    session = Session(server, SyncType.SLOW)
    assert session.take(add("1", tools.card("Ann"))) == [200]
    session.end(commit=False)
    assert hold(server, change("2", tools.card("Bob", "TEL:1"))) == ([200], [])
    assert len(server.files()) == 2


def test_a_refresh_from_the_client_deletes_the_rest(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")))
    assert hold(server, add("8", tools.card("Ann", "TEL:3")), kind=SyncType.REFRESH_FROM_CLIENT) == ([200], [])
    assert list(server.files()) == ["Ann.vcf"]
    assert "TEL:3" in server.files()["Ann.vcf"]
    assert hold(server)[1] == []


def test_a_refresh_from_the_server_gives_everything(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")))
    assert [action for action, _ in hold(server, kind=SyncType.REFRESH_FROM_SERVER)[1]] == ["Add", "Add"]
    assert hold(server)[1] == []


def test_an_empty_slow_sync_deletes_nothing(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    assert [action for action, _ in hold(server, kind=SyncType.SLOW)[1]] == ["Add"]
    assert list(server.files()) == ["Ann.vcf"]


def test_one_way_types_move_one_direction(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    server.write("Bob.vcf", tools.card("Bob"))
    assert hold(server, add("2", tools.card("Cid")), kind=SyncType.ONE_WAY_FROM_CLIENT) == ([201], [])
    assert [action for action, _ in hold(server)[1]] == ["Add"]
    assert hold(server, add("3", tools.card("Dan")), kind=SyncType.ONE_WAY_FROM_SERVER)[0] == [405]


# --- temporary names


def test_a_lost_status_and_map_means_the_same_add_again(server, tools) -> None:
    hold(server)
    server.write("a.vcf", tools.card("Ann"))
    session = Session(server)
    assert session.give(status=None, luid=None) == [("Add", "1")]
    session.end()
    session = Session(server)
    assert session.give() == [("Add", "1")]
    session.end()
    assert hold(server)[1] == []


def test_an_add_that_was_answered_waits_for_its_map(server, tools) -> None:
    hold(server)
    server.write("a.vcf", tools.card("Ann"))
    session = Session(server)
    assert session.give(status=201, luid=None) == [("Add", "1")]
    session.end()
    server.write("a.vcf", tools.card("Ann", "TEL:1"))
    assert hold(server)[1] == []
    session = Session(server)
    assert session.store.map([("1", "77")]) == [200]
    assert session.give() == [("Replace", "77")]
    assert session.store.map([("1", "77")]) == [200]
    assert session.store.map([("5", "77")]) == [404]
    session.end()


def test_a_map_without_a_status_says_that_it_arrived(server, tools) -> None:
    hold(server)
    server.write("a.vcf", tools.card("Ann"))
    session = Session(server)
    session.give(status=None)
    session.end(commit=False)
    assert hold(server)[1] == []


def test_adds_for_names_mapped_in_a_broken_session_make_no_duplicate(server, tools) -> None:
    session = Session(server)
    assert session.take(add("9", tools.card("Ann"))) == [201]
    session.end(commit=False)
    server.restart()
    assert hold(server, add("9", tools.card("Ann"))) == ([200], [])
    assert len(server.files()) == 1


def test_a_replace_that_the_device_does_not_know_becomes_an_add(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    server.write("Ann.vcf", tools.card("Ann", "TEL:1"))
    session = Session(server)
    assert session.give(status=404) == [("Replace", "1")]
    session.end()
    assert [action for action, _ in hold(server)[1]] == ["Add"]


@pytest.mark.parametrize("status", [409, 420, 500])
def test_an_error_leaves_a_change_for_the_next_session(server, tools, status) -> None:
    hold(server, add("1", tools.card("Ann")))
    server.write("Ann.vcf", tools.card("Ann", "TEL:1"))
    for _ in range(2):
        session = Session(server)
        assert session.give(status=status) == [("Replace", "1")]
        session.end()
    assert hold(server)[1] == [("Replace", "1")]
    assert hold(server)[1] == []


# --- guards and files that are no records


def many(tools, count: int = 40) -> list[Incoming]:
    return [add(str(number), tools.card(f"P{number}")) for number in range(count)]


def test_deletes_of_a_stock_client_beyond_the_guard_are_refused(server, tools) -> None:
    hold(server, *many(tools))
    deletes = [gone(str(number)) for number in range(30)]
    statuses, _ = hold(server, *deletes)
    assert statuses.count(200) == limits.DELETE_GUARD_ITEMS
    assert statuses.count(403) == 5
    assert set(hold(server, *deletes, allow_deletes=True)[0]) == {200, 211}


def test_deletes_for_a_stock_client_beyond_the_guard_are_held_back(server, tools) -> None:
    hold(server, *many(tools))
    for number in range(30):
        server.delete(f"P{number}.vcf")
    session = Session(server)
    assert session.give() == []
    assert len(session.store.report.skipped) == 30
    session.end()
    assert len(hold(server, allow_deletes=True)[1]) == 30


def test_an_emptied_folder_stops_the_session(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    server.delete("Ann.vcf")
    with pytest.raises(SessionError, match="allow-deletes") as caught:
        Session(server)
    assert caught.value.code == "emptied"


def test_a_missing_folder_or_marker_stops_the_session(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    away = server.root.rename(server.base / "away")
    with pytest.raises(StoreError) as caught:
        Session(server)
    assert caught.value.code == "root-missing"
    server.root.mkdir()
    with pytest.raises(StoreError) as caught:
        Session(server)
    assert caught.value.code == "root-marker-missing"
    server.root.rmdir()
    away.rename(server.root)
    assert hold(server)[1] == []


def test_the_folder_of_another_collection_stops_the_session(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    there = server.root / ".twsync" / "collection"
    there.write_text('{"collection": "friends", "replica": "00000000000000ff"}')
    with pytest.raises(StoreError) as caught:
        Session(server)
    assert caught.value.code == "folder-of-another"
    assert "the collection friends, not of the collection people" in str(caught.value)
    there.unlink()
    assert hold(server)[1] == []


def test_a_refresh_beyond_the_guard_deletes_nothing(server, tools) -> None:
    hold(server, *many(tools))
    session = Session(server, SyncType.REFRESH_FROM_CLIENT)
    with pytest.raises(SessionError) as caught:
        session.store.received_all()
    assert caught.value.code == "too-many-deletes"
    session.store.close()
    assert len(server.files()) == 40


def test_what_is_no_record_is_reported_left_alone_and_not_sent(server, tools) -> None:
    server.write("good.vcf", tools.card("Ann"))
    server.write("bad.vcf", "nothing of the sort")
    server.write("notes.txt", "hello")
    server.write(".hidden.vcf", tools.card("Bob"))
    (server.root / "below.vcf").mkdir()
    (server.root / "link.vcf").symlink_to("good.vcf")
    session = Session(server, SyncType.SLOW)
    assert session.give() == [("Add", "1")]
    assert dict(session.store.report.skipped) == {b"bad.vcf": "invalid-record", b"link.vcf": "invalid-record"}
    session.end()
    assert server.files()["bad.vcf"] == "nothing of the sort"


def test_a_record_that_was_broken_by_hand_is_neither_sent_nor_overwritten(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    server.write("Ann.vcf", "half an edit")
    statuses, given = hold(server, change("1", tools.card("Ann", "TEL:1")))
    assert (statuses, given) == ([409], [])
    assert server.files()["Ann.vcf"] == "half an edit"


def test_an_edit_during_the_session_is_not_lost(server, tools) -> None:
    hold(server, add("1", tools.card("Ann", "TEL:1")))
    session = Session(server)
    server.write("Ann.vcf", tools.card("Ann", "TEL:1", "NOTE:just now"))
    assert session.take(change("1", tools.card("Ann", "TEL:1", "EMAIL:a@example.org"))) == [207]
    assert session.give() == [("Replace", "1")]
    session.end()
    assert "NOTE:just now" in server.files()["Ann.vcf"]
    assert "EMAIL:a@example.org" in server.files()["Ann.vcf"]


def test_a_file_that_appears_under_the_name_during_the_session_is_left_alone(server, tools) -> None:
    session = Session(server)
    server.write("Ann.vcf", tools.card("Another Ann", uid="another"))
    assert session.take(add("1", tools.card("Ann"))) == [201]
    session.give()
    session.end()
    assert len(server.files()) == 2


def test_a_collection_has_one_session_at_a_time(server) -> None:
    session = Session(server)
    with pytest.raises(StoreError) as caught:
        Session(server)
    assert caught.value.code == "busy"
    session.end(commit=False)
    session.end(commit=False)
    Session(server).end()


def test_grants_and_names(server) -> None:
    stores = server.host.datastores(Terms("s", Side.SERVER), granted=["people"])
    assert list(stores.names()) == ["people"]
    described = stores.describe("people")
    assert described.source_ref == "people"
    assert described.rx_pref == ContentType(TYPE, "3.0")
    assert {ctcap.type for ctcap in described.ctcaps} >= {TYPE, "text/x-vcard"}
    none = server.host.datastores(Terms("s", Side.SERVER), granted=[])
    assert list(none.names()) == []
    for stores, name, code in ((none, "people", "not-allowed"), (none, "other", "not-found")):
        with pytest.raises(StoreError) as caught:
            stores.open(name, phone())
        assert caught.value.code == code


def test_two_devices_have_their_own_names(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")))
    other = Peer("IMEI:2", "alice", None, None)
    assert hold(server, kind=SyncType.SLOW, peer=other)[1] == [("Add", "1")]
    assert hold(server, change("1", tools.card("Ann", "TEL:2")))[0] == [200]
    assert hold(server, peer=other)[1] == [("Replace", "L0")]


def test_a_full_disk_is_said_item_by_item_and_the_next_session_goes_on(server, tools) -> None:
    def step(name: str) -> None:
        if name == "put":
            raise StoreError("The disk is full.", "disk-full")

    store = server.open(phone(), Side.SERVER, step)
    store.begin(SyncType.TWO_WAY, False)
    assert [outcome.status for outcome in store.take([add("1", tools.card("Ann"))])] == [420]
    store.close()
    store._session.gate.close()
    assert server.files() == {}
    assert hold(server, add("1", tools.card("Ann"))) == ([201], [])


def test_devices_that_were_not_seen_for_longest_make_room(server, tools, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MAX_SYNCML_PARTNERS", 2)
    for number in (1, 2, 1, 3):
        hold(server, add(str(number), tools.card("Ann")), kind=SyncType.SLOW, peer=Peer(f"IMEI:{number}", "alice", None, None))
    assert server.journal.database.rows("SELECT device FROM syncml_partner ORDER BY device") == [("IMEI:1",), ("IMEI:3",)]
    assert server.journal.database.row("SELECT count(*) FROM syncml_map") == (2,)


def test_a_device_gets_the_form_that_it_prefers(server, tools) -> None:
    store = DataStore("contacts", rx_pref=ContentType("text/x-vcard", "2.1"), tx_pref=ContentType("text/x-vcard", "2.1"))
    peer = Peer("IMEI:1", "alice", DevInf(Protocol.V1_1, "IMEI:1", datastores=(store,)), store)
    server.write("a.vcf", tools.card("J\u00fcrgen", "TEL;TYPE=CELL:1"))
    session = Session(server, SyncType.SLOW, peer)
    session.store.received_all()
    [change] = list(session.store.changes())
    assert change.record is not None
    assert change.record.type == "text/x-vcard"
    assert "VERSION:2.1" in str(change.record.data)
    session.store.sent(change, 201)
    assert session.store.map([(change.id, "7")]) == [200]
    # It says the same again in its own form: nothing has changed.
    again = Incoming(Action.REPLACE, "7", change.record)
    session.end()
    assert hold(server, again, peer=peer) == ([200], [])
    assert "FN:J\u00fcrgen" in server.files()["a.vcf"]
    assert "VERSION:3.0" in server.files()["a.vcf"]


# --- another twsync host

HOST = Peer("bob/laptop", "bob", None, None, twsync=True)
VERSION = pack_version(Version(((7, 1),)))


def test_an_item_of_another_host_keeps_its_name_bytes_and_version(server, tools) -> None:
    text = tools.card("Ann", "X-ODD:;;")
    assert hold(server, Incoming(Action.ADD, "my friend.vcf", Record(TYPE, text, VERSION)), peer=HOST) == ([201], [])
    assert server.files() == {"my friend.vcf": text}
    row = server.rows.get(b"my friend.vcf")
    assert row is not None
    assert pack_version(row.item.version) == VERSION


BAD_NAMES = [
    "../x.vcf",
    "/etc/x.vcf",
    ".twsync/a.vcf",
    "a/b.vcf",
    ".vcf",
    ".a.vcf",
    "a.txt",
    "a\0.vcf",
    "a\n.vcf",
    "x" * 300 + ".vcf",
    "..",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_must_not_be_used_is_replaced(server, tools, name) -> None:
    assert hold(server, Incoming(Action.ADD, name, Record(TYPE, tools.card("Ann"), VERSION)), peer=HOST)[0] == [201]
    assert list(server.files()) == ["Ann.vcf"]
    assert [path.name for path in server.base.iterdir() if path.name.endswith(".vcf")] == []


@pytest.mark.parametrize(
    "version",
    [
        b"x",
        VERSION[:8],
        pack_version(Version(((7, 0),))),
        pack_version(Version(((7, 2**63),))),
        VERSION + VERSION,
        pack_version(Version(((9, 1), (7, 1)))),
        pack_version(Version(tuple((number, 1) for number in range(1, 300)))),
    ],
)
def test_a_malformed_version_is_refused(server, tools, version) -> None:
    assert hold(server, Incoming(Action.ADD, "a.vcf", Record(TYPE, tools.card("Ann"), version)), peer=HOST)[0] == [415]
    assert server.files() == {}


@pytest.mark.parametrize("edited", [False, True])
def test_a_version_that_names_changes_of_ours_which_we_never_made_hides_no_edit(server, tools, edited) -> None:
    """Of a partner that lies, or of a journal that was put back."""
    text = tools.card("Ann")
    hold(server, Incoming(Action.ADD, "a.vcf", Record(TYPE, text, VERSION)), peer=HOST)
    server.write("a.vcf", tools.card("Ann", "TEL:1"))
    forged = pack_version(Version.of([(7, 9), (server.rows.replica, 10**9)]))
    theirs = tools.card("Ann", "NOTE:theirs") if edited else text
    statuses, given = hold(server, Incoming(Action.REPLACE, "a.vcf", Record(TYPE, theirs, forged)), peer=HOST)
    assert statuses == [207 if edited else 200]
    assert "TEL:1" in server.files()["a.vcf"]
    assert ("NOTE:theirs" in server.files()["a.vcf"]) == edited
    # And what stands here is told, as what follows theirs.
    assert given == [("Replace", "a.vcf")]
    row = server.rows.get(b"a.vcf")
    assert row is not None
    assert row.item.version.order(Version.of([(7, 9), (server.rows.replica, 10**9)])) is Order.NEWER


def test_nor_does_it_delete_what_was_edited(server, tools) -> None:
    hold(server, Incoming(Action.ADD, "a.vcf", Record(TYPE, tools.card("Ann"), VERSION)), peer=HOST)
    server.write("a.vcf", tools.card("Ann", "TEL:1"))
    forged = pack_version(Version.of([(7, 9), (server.rows.replica, 10**9)]))
    assert hold(server, gone("a.vcf", version=forged), peer=HOST) == ([419], [("Add", "a.vcf")])
    assert "TEL:1" in server.files()["a.vcf"]


def test_too_many_deletes_of_another_host_stop_the_session_before_the_first(server, tools) -> None:
    hold(server, *[Incoming(Action.ADD, f"{n}.vcf", Record(TYPE, tools.card(f"P{n}"), VERSION)) for n in range(40)], peer=HOST)
    session = Session(server, peer=HOST)
    with pytest.raises(SessionError) as caught:
        session.take(*[gone(f"{n}.vcf", version=pack_version(Version(((7, 2),)))) for n in range(30)])
    assert caught.value.code == "too-many-deletes"
    session.end(commit=False)
    assert len(server.files()) == 40


def test_what_is_no_text_is_refused(server, tools) -> None:
    bad = [add("\ud800", tools.card("Ann")), add("x" * 600, tools.card("Ann")), gone("\ud800"), add("1", tools.card("\ud800"))]
    assert hold(server, *bad)[0] == [414, 414, 414, 415]
    assert Session(server).store.map([("1", "\ud800")]) == [414]
    assert server.files() == {}


def test_a_server_cannot_change_what_was_never_here(server, tools) -> None:
    store = server.open(Peer("http://server", "alice", None, None), Side.CLIENT)
    store.begin(SyncType.TWO_WAY, False)
    names = ["never.vcf", "../x.vcf", "notes.txt"]
    assert [outcome.status for outcome in store.take([change(name, tools.card("Ann")) for name in names])] == [404, 404, 404]
    assert [outcome.status for outcome in store.take([gone(name) for name in names])] == [211, 211, 211]
    store.close()
    assert server.files() == {}


def test_names_that_no_message_can_carry_and_records_beyond_the_limit_are_reported(server, tools, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MAX_RECORD", 200)
    server.write("good.vcf", tools.card("Ann"))
    server.write("huge.vcf", tools.card("Bob", "NOTE:" + "x" * 200))
    server.write("vast.vcf", tools.card("Bob", "NOTE:" + "x" * 1000))
    server.write("caf\udce9.vcf", tools.card("Eve"))
    server.write("tab\t.vcf", tools.card("Tom"))
    session = Session(server, SyncType.SLOW)
    assert session.give() == [("Add", "1")]
    assert dict(session.store.report.skipped) == {
        b"huge.vcf": "too-large", b"vast.vcf": "too-large", b"caf\xe9.vcf": "invalid-name", b"tab\t.vcf": "invalid-name",
    }  # fmt: skip


def test_rows_of_a_collection_that_was_one_of_files_are_not_sent(server, tools) -> None:
    server.write("good.vcf", tools.card("Ann"))
    server.write("picture.jpg", "no record")
    folder = server.host.folder("people")
    folder.journal.record(scan(folder.gate, folder.journal, Ignore(), now_ns=server.clock(), device="desktop"))
    folder.gate.close()
    session = Session(server, SyncType.SLOW)
    assert session.give() == [("Add", "1")]
    assert session.store.report.skipped == []


def test_what_was_the_same_already_is_not_counted(pair, tools) -> None:
    """Comparing everything sends all of one side; only what changed something counts."""
    client, server = pair
    client.write("Ann.vcf", tools.card("Ann"))
    server.write("Ann.vcf", tools.card("Ann"))
    client.write("Bob.vcf", tools.card("Bob"))
    server.write("Cid.vcf", tools.card("Cid"))
    _, one, other = tools.sync(client, server)
    assert one.sent.added == other.received.added == other.sent.added == one.received.added == 1
    _, one, other = tools.sync(client, server, SyncType.SLOW)
    for counts in (one.sent, one.received, other.sent, other.received):
        assert (counts.added, counts.changed, counts.deleted) == (0, 0, 0)


@pytest.mark.parametrize("twsync", [True, False], ids=["twsync", "stock"])
def test_a_delete_that_lost_to_an_edit_is_not_counted(pair, tools, twsync) -> None:
    client, server = pair
    for name in ("Ann", "Bob"):
        client.write(f"{name}.vcf", tools.card(name))
    tools.sync(client, server, twsync=twsync)
    for name in ("Ann", "Bob"):
        client.delete(f"{name}.vcf")
    server.write("Ann.vcf", tools.card("Ann", "TEL:1"))
    done, one, other = tools.sync(client, server, twsync=twsync, allow_deletes=True)
    assert done.statuses[0] == (419 if twsync else 200)
    assert (one.sent.deleted, one.received.added) == (other.received.deleted, other.sent.added) == (1, 1)
    assert one.conflicts == other.conflicts == []
    assert tools.sync(client, server, twsync=twsync)[0].sent == 0


def test_a_delete_of_what_was_gone_there_is_not_counted(server, tools) -> None:
    hold(server, add("1", tools.card("Ann")), add("2", tools.card("Bob")), add("3", tools.card("Cid")))
    for name in ("Ann", "Bob"):
        server.delete(f"{name}.vcf")
    session = Session(server)
    session.give(status=404)
    session.end()
    assert session.store.report.sent == Counts()
    assert hold(server)[1] == []


def test_bytes_of_content_count_both_ways_as_it_travelled(server, tools) -> None:
    ann, bob = tools.card("Ann"), tools.card("B\u00f6b")
    server.write("Bob.vcf", bob)
    session = Session(server)
    assert session.take(add("1", ann), add("2", "nonsense")) == [201, 415]
    session.give()
    session.end()
    assert session.store.report.received.bytes == len(ann)
    assert session.store.report.sent.bytes == len(bob.encode())


def test_a_name_that_a_reset_device_uses_again_leads_to_the_new_item(server, tools) -> None:
    """It counts its names from the beginning; what had the name is on its way to it, and waits for another one."""
    server.write("Ann.vcf", tools.card("Ann"))
    assert hold(server, kind=SyncType.SLOW)[1] == [("Add", "1")]
    session = Session(server, SyncType.SLOW)
    assert session.take(add("L0", tools.card("Bob"))) == [201]
    assert session.give(luid="M") == [("Add", "1")]
    session.end()
    assert hold(server, change("L0", tools.card("Bob", "TEL:2")), change("M0", tools.card("Ann", "TEL:1")))[0] == [200, 200]
    assert "TEL:2" in server.files()["Bob.vcf"]
    assert "TEL:1" in server.files()["Ann.vcf"]
    assert hold(server)[1] == []


def test_a_name_used_again_in_a_session_that_broke_off(server, tools) -> None:
    server.write("Ann.vcf", tools.card("Ann"))
    assert hold(server, kind=SyncType.SLOW)[1] == [("Add", "1")]
    session = Session(server, SyncType.SLOW)
    assert session.take(add("L0", tools.card("Bob"))) == [201]
    session.end(commit=False)
    server.restart()
    session = Session(server, SyncType.SLOW)
    assert session.take(add("L0", tools.card("Bob"))) == [200]
    assert session.give(luid="M") == [("Add", "1")]
    session.end()
    assert sorted(server.files()) == ["Ann.vcf", "Bob.vcf"]
    assert hold(server)[1] == []


@pytest.mark.parametrize("taken", ["syncml_partner", "collection"])
def test_what_was_removed_in_the_middle_of_a_session_is_said(server, taken) -> None:
    """Its account or the collection itself: the client gets a status for it, and not the failure of the whole message."""
    store = server.open(Peer("phone", "alice", None, None), Side.SERVER)
    server.rows.database.execute(f"DELETE FROM {taken}")
    with pytest.raises(StoreError) as caught:
        store.begin(SyncType.SLOW, False)
    assert caught.value.code == "not-found"
    store.close()
