"""Several hosts, any edits, any sessions in any order: all come to the same, nothing is lost, nothing doubled, no false conflict."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twsync.reconcile.model import SyncType

PEOPLE = ("Ann", "Bob", "Cid")

_edits = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 2), st.sampled_from(PEOPLE)),
    st.tuples(st.just("line"), st.integers(0, 2), st.sampled_from(PEOPLE)),
    st.tuples(st.just("delete"), st.integers(0, 2), st.sampled_from(PEOPLE)),
    st.tuples(st.just("sync"), st.permutations((0, 1, 2)), st.sampled_from((SyncType.TWO_WAY, SyncType.TWO_WAY, SyncType.SLOW))),
    st.tuples(
        st.just("stop"), st.permutations((0, 1, 2)), st.tuples(st.integers(1, 12), st.sampled_from((SyncType.TWO_WAY, SyncType.SLOW)))
    ),
)


class World:
    """Three hosts, and what was written in them."""

    def __init__(self, tools, twsync: bool) -> None:
        self.tools = tools
        self.twsync = twsync
        self.folder = tempfile.TemporaryDirectory()
        clock = tools.Clock()
        self.boxes = [tools.Box(Path(self.folder.name) / name, name, clock=clock) for name in ("one", "two", "three")]
        self.lines = 0
        self.alive: set[str] = set()
        self.deleted: set[str] = set()

    def close(self) -> None:
        for box in self.boxes:
            box.close()
        self.folder.cleanup()

    def do(self, what: str, where, which) -> None:
        if not self.twsync and what in ("sync", "stop"):
            # Devices without versions have one server.
            where = (where[0] % 2, 2)
        if what == "sync":
            self.tools.sync(self.boxes[where[0]], self.boxes[where[1]], which, twsync=self.twsync, allow_deletes=True)
            return
        if what == "stop":
            self._stop(where, which)
            return
        box = self.boxes[where]
        if what == "lose":
            box.close()
            for path in box.base.glob("journal*"):
                path.unlink()
            box.start()
            return
        found = self._find(box, which)
        if what == "rename":
            if found is not None:
                self.lines += 1
                box.write(f"{which}-{self.lines}.vcf", box.files()[found])
                box.delete(found)
        elif what == "delete":
            if found is not None:
                box.delete(found)
                self.deleted.add(which)
                # Whatever it said may go with it.
                self.alive = {line for line in self.alive if not line.startswith(which)}
        elif what == "line":
            if found is not None:
                self.lines += 1
                line = f"{which}{self.lines}"
                box.write(found, box.files()[found].replace("END:", f"EMAIL:{line}@example.org\r\nEND:"))
                self.alive.add(line)
        elif found is None and which not in self.deleted:
            # (One that is made anew, with the same UID, where another host still has the old one, may well be two.)
            box.write(f"{which}-{box.name}.vcf", self.tools.card(which))

    def _find(self, box, person: str) -> str | None:
        return next((key for key, text in box.files().items() if f"FN:{person}\r\n" in text), None)

    def _stop(self, where, when) -> None:
        """A session whose two processes die."""
        number, kind = when
        one, other = self.boxes[where[0]], self.boxes[where[1]]
        try:
            self.tools.sync(one, other, kind, twsync=self.twsync, allow_deletes=True, between=self.tools.stops_at(number), size=1)
        except self.tools.Stopped:
            one.restart()
            other.restart()

    def settle(self) -> None:
        for _ in range(3):
            for one, other in ((0, 1), (1, 2), (0, 2)) if self.twsync else ((0, 2), (1, 2)):
                self.do("sync", (one, other), SyncType.TWO_WAY)

    def texts(self, box) -> str:
        return "\n".join(box.files().values())

    def check(self) -> None:
        first = self.boxes[0]
        for box in self.boxes[1:]:
            assert box.digests() == first.digests()
        for box in self.boxes:
            text = self.texts(box)
            for person in PEOPLE:
                assert text.count(f"FN:{person}\r\n") <= 1, "doubled"
            for line in self.alive:
                assert text.count(f"EMAIL:{line}@") == 1, "lost, or doubled within a record"
            assert "\r\nUID:\r\n" not in text


@pytest.mark.parametrize("twsync", [True, False])
def test_three_hosts_come_to_the_same(tools, twsync) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(_edits, max_size=14))
    def run(edits) -> None:
        world = World(tools, twsync)
        try:
            for edit in edits:
                world.do(*edit)
            world.settle()
            world.check()
            done = tools.sync(world.boxes[0], world.boxes[2], twsync=twsync)[0]
            assert done.sent == 0, "there is always something to say"
        finally:
            world.close()

    run()


@pytest.mark.parametrize("seed", range(40))
def test_renamed_records_and_lost_journals_too(tools, seed) -> None:
    """Long histories, which shrinking would make no shorter: most need four steps of one item to go wrong."""
    random = Random(seed)
    kinds = ("add", "line", "delete", "rename", "rename", "sync", "sync", "sync", "stop", "lose" if seed % 2 else "line")
    world = World(tools, True)
    try:
        for _ in range(25):
            what, pair = random.choice(kinds), sorted(random.sample(range(3), 2))
            kind = SyncType.SLOW if seed % 3 == 0 and random.random() < 0.3 else SyncType.TWO_WAY
            if what == "sync":
                world.do(what, pair, kind)
            elif what == "stop":
                world.do(what, pair, (random.randint(1, 12), kind))
            else:
                world.do(what, pair[0], random.choice(PEOPLE))
        world.settle()
        world.check()
        assert tools.sync(world.boxes[0], world.boxes[2])[0].sent == 0, "there is always something to say"
    finally:
        world.close()


def _all(tools, *boxes, rounds: int = 2) -> None:
    for _ in range(rounds):
        for one, other in ((0, 1), (1, 2), (0, 2)):
            tools.sync(boxes[one], boxes[other], allow_deletes=True)


def test_what_a_slow_sync_brings_back_under_another_name_is_the_item_that_was_deleted(tools, make_box) -> None:
    """A third host has it under its own name and has lost its journal; the second one edits it meanwhile under the old name."""
    one, two, three = boxes = [make_box(name) for name in ("one", "two", "three")]
    one.write("a.vcf", tools.card("Ann"))
    tools.sync(one, two)
    three.write("b.vcf", tools.card("Ann"))
    tools.sync(one, three)
    one.delete("a.vcf")
    tools.sync(one, two, allow_deletes=True)
    three.close()
    for path in three.base.glob("journal*"):
        path.unlink()
    three.start()
    tools.sync(one, three, SyncType.SLOW, allow_deletes=True)
    assert len(one.files()) == 1
    two.write("a.vcf", tools.card("Ann", "TEL:2"))
    _all(tools, *boxes)
    for box in boxes:
        assert box.digests() == one.digests()
        assert len(box.files()) == 1
        assert "TEL:2" in "".join(box.files().values())
    assert tools.sync(one, three)[0].sent == 0


def test_a_copy_that_was_out_of_reach_does_not_bring_back_what_was_deleted(tools, make_box) -> None:
    """It comes from a host that never met the one it was deleted on, under a name that nobody here knows."""
    one, two, three = boxes = [make_box(name) for name in ("one", "two", "three")]
    one.write("a.vcf", tools.card("Ann"))
    one.write("x.vcf", tools.card("Eve"))
    three.write("z.vcf", tools.card("Zoe"))
    tools.sync(one, two)
    tools.sync(two, three)
    tools.sync(one, three)
    one.delete("a.vcf")
    tools.sync(one, two, allow_deletes=True)
    # The third host still has it, and knows it under a name of its own from the second one.
    _all(tools, *boxes)
    for box in boxes:
        assert "FN:Ann" not in "".join(box.files().values())
        assert len(box.files()) == 2


def test_a_record_that_was_renamed_here_and_edited_there_is_one(pair, tools) -> None:
    client, server = pair
    client.write("a.vcf", tools.card("Ann"))
    tools.sync(client, server)
    for renamer, editor in ((client, server), (server, client)):
        (old,) = renamer.files()
        renamer.write(f"{renamer.name}.vcf", renamer.files()[old])
        renamer.delete(old)
        ((key, text),) = editor.files().items()
        editor.write(key, text.replace("END:", f"EMAIL:{editor.name}@example.org\r\nEND:"))
        for _ in range(3):
            tools.sync(client, server, allow_deletes=True)
        assert client.digests() == server.digests()
        for box in pair:
            (text,) = box.files().values()
            assert f"EMAIL:{editor.name}@" in text


def test_a_record_copied_first_and_then_deleted_lives_under_its_new_name(tools, make_box) -> None:
    """The copy is seen before the deletion; a host that hears of both at once must not take the copy for a stale one."""
    one, _, three = boxes = [make_box(name) for name in ("one", "two", "three")]
    one.write("a.vcf", tools.card("Ann"))
    _all(tools, *boxes)
    one.write("b.vcf", tools.card("Ann"))
    tools.sync(one, three)
    one.delete("a.vcf")
    _all(tools, *boxes)
    for box in boxes:
        assert list(box.files()) == ["b.vcf"]


def test_names_that_mean_other_items_on_each_host_double_nothing(tools, make_box) -> None:
    """Also when journals are lost: then versions of two items may be in order, though they have nothing to do with one another."""
    boxes = [make_box(name) for name in ("desktop", "laptop", "phone")]
    for box in boxes:
        for n in range(4):
            box.write(f"k{n}.vcf", tools.card(f"{box.name}{n}", "NOTE:0"))

    def edit(box, who: str, text: str) -> None:
        key = _key(box, who)
        box.write(key, box.files()[key].replace("NOTE:", f"NOTE:{text} "))

    def ring(count: int) -> None:
        for one, other in ((0, 1), (0, 2), (1, 2)) * 2:
            tools.sync(boxes[one], boxes[other], allow_deletes=True)
        for box in boxes:
            assert box.digests() == boxes[0].digests()
            assert len(box.files()) == count, "doubled, or lost"

    ring(12)
    edit(boxes[0], "phone0", "a")
    edit(boxes[1], "phone0", "b")
    boxes[2].delete(_key(boxes[2], "desktop1"))
    ring(11)
    for box in boxes:
        box.close()
        for path in box.base.glob("journal*"):
            path.unlink()
        box.start()
        edit(box, "laptop3", box.name)
        ring(11)
    assert tools.sync(boxes[0], boxes[2])[0].sent == 0


def test_what_was_deleted_under_a_name_is_not_another_item_of_that_name(tools, make_box) -> None:
    one, two, three = (make_box(name) for name in ("one", "two", "three"))
    one.write("k.vcf", tools.card("Ann"))
    three.write("k.vcf", tools.card("Bob"))
    tools.sync(one, two)
    tools.sync(two, three)
    one.delete("k.vcf")
    three.delete(_key(three, "Ann"))
    # Bob is new here, and has the name that Ann had, and still has on the second host.
    tools.sync(one, three, allow_deletes=True)
    for _ in range(2):
        for client, server in ((one, two), (two, three), (one, three)):
            tools.sync(client, server, allow_deletes=True)
    for box in (one, two, three):
        assert box.digests() == one.digests()
        assert len(box.files()) == 1


def test_records_without_uid_are_one_by_name_and_version_where_content_says_nothing(tools, make_box) -> None:
    """Two hosts that both know a third one meet for the first time, and one of them has edited what came from there."""
    one, two, three = (make_box(name, tools.Family.NOTES) for name in ("one", "two", "three"))
    one.write("n.txt", "Milk\n")
    tools.sync(one, two)
    tools.sync(one, three)
    two.write(next(iter(two.files())), "Bread\n")
    tools.sync(two, three)
    assert list(three.files().values()) == ["Bread\n"]


def _key(box, who: str) -> str:
    return next(key for key, text in box.files().items() if f"FN:{who}\r\n" in text)
