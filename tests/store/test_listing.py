"""A folder compared with what is known of the tree: in C and in Python, and in a look at records with what a scan of everything finds."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from two_scans import both_ways, renew, same

from twsync.records import Family
from twsync.store import batches
from twsync.store import listing as kept
from twsync.store.batches import DIFFERS, EQUAL, Found
from twsync.store.differing import Known, entries_of, known
from twsync.store.journal import Journal
from twsync.store.listing import Listing
from twsync.store.paths import Gate
from twsync.store.recordfolder import RecordFolder
from twsync.store.recordjournal import RecordJournal
from twsync.store.scan import ScanResult, scan


@pytest.fixture(params=["in_c", "singly"])
def way(request: pytest.FixtureRequest) -> str:
    """In C, or in Python."""
    request.getfixturevalue(request.param)
    name: str = request.param
    return name


both = pytest.mark.usefixtures("way")


class Differences(NamedTuple):
    """What a walk over one folder gave."""

    changed: list[tuple[bytes, Found]]
    missing: list[bytes]
    equal: int
    other: int


def met(folder: Path, tree: Known, prefix: bytes = b"") -> Differences:
    """Look at a folder."""
    changed = in_folder(folder, lambda fd: list(tree.differing(fd, prefix)))
    return Differences(changed, tree.missing(), tree.equal, tree.other)


def compare(folder: Path, listing: Listing, suffix: bytes = b".vcf") -> Differences:
    return met(folder, known(listing, suffix))


def in_folder(folder: Path, what):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return what(fd)
    finally:
        os.close(fd)


def listed(folder: Path) -> Listing:
    return in_folder(folder, lambda fd: Listing.of([(name, *found[:5]) for name, found in entries_of(fd) if name.endswith(b".vcf")]))


@both
def test_what_is_as_it_is_known_is_only_counted(tmp_path) -> None:
    for name in ("a.vcf", "b.vcf", "c.txt", ".hidden.vcf", ".vcf", "vcf"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / ".twsync").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.vcf").mkdir()
    found = compare(tmp_path, listed(tmp_path))
    # A folder is given, to be walked too.
    assert [(name, entry[5]) for name, entry in found.changed] == [(b"folder.vcf", EQUAL)]
    assert (sorted(found.missing), found.equal, found.other) == ([b".hidden.vcf", b".vcf"], 2, 5)
    found = compare(tmp_path, Listing.of([]))
    assert (len(found.changed), found[1:]) == (3, ([], 0, 5))


@both
def test_every_kind_of_difference_is_found(tmp_path) -> None:
    names = ["same", "content", "size", "mode", "mtime", "replaced", "gone", "kind", "link"]
    for name in names:
        (tmp_path / f"{name}.vcf").write_bytes(b"old")
    known = listed(tmp_path)
    before = (tmp_path / "content.vcf").stat()
    # An edit that keeps size and time leaves the change time; here it is known to be another, for a tick of the clock may not have passed.
    (tmp_path / "content.vcf").write_bytes(b"new")
    os.utime(tmp_path / "content.vcf", ns=(before.st_atime_ns, before.st_mtime_ns))
    at = known.keys.split(b"\0").index(b"content.vcf") * 40 + 16
    known = Listing(known.keys, known.stats[:at] + (before.st_ctime_ns - 1).to_bytes(8, sys.byteorder) + known.stats[at + 8 :])
    (tmp_path / "size.vcf").write_bytes(b"longer")
    (tmp_path / "mode.vcf").chmod(0o400)
    os.utime(tmp_path / "mtime.vcf", ns=(1, 1))
    (tmp_path / "other").write_bytes(b"old")
    (tmp_path / "other").rename(tmp_path / "replaced.vcf")
    (tmp_path / "gone.vcf").unlink()
    (tmp_path / "kind.vcf").unlink()
    (tmp_path / "kind.vcf").mkdir()
    (tmp_path / "link.vcf").unlink()
    (tmp_path / "link.vcf").symlink_to("same.vcf")
    (tmp_path / "new.vcf").write_bytes(b"old")
    found = compare(tmp_path, known)
    changed = dict(found.changed)
    assert set(changed) == {f"{name}.vcf".encode() for name in (*names, "new") if name not in ("same", "gone")}
    there = in_folder(tmp_path, lambda fd: dict(entries_of(fd)))
    assert changed == {name: (*there[name][:5], 0 if name == b"new.vcf" else DIFFERS) for name in changed}
    assert (found.missing, found.equal, found.other) == ([b"gone.vcf"], 1, 0)


@both
@pytest.mark.parametrize("field", range(1, 6))
def test_every_field_of_a_stat_counts(field: int, tmp_path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.vcf").write_bytes(b"")
    (a, *stat), b = in_folder(tmp_path, lambda fd: sorted((name, *found[:5]) for name, found in entries_of(fd)))
    stat[field - 1] ^= 1
    found = compare(tmp_path, Listing.of([(a, *stat), b]))
    assert ([name for name, _ in found.changed], found.missing, found.equal) == ([a], [], 1)


@both
def test_what_is_not_trusted_differs_always(tmp_path) -> None:
    (tmp_path / "a.vcf").write_bytes(b"")
    known = listed(tmp_path)
    untrusted = Listing(known.keys, known.stats[:16] + bytes(8) + known.stats[24:])
    assert [name for name, _ in compare(tmp_path, untrusted).changed] == [b"a.vcf"]


@both
def test_a_folder_that_cannot_be_listed(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(NotADirectoryError):
            list(known(Listing.of([]), b".vcf").differing(fd, b""))
    finally:
        os.close(fd)


@both
@pytest.mark.parametrize(
    ("keys", "size"),
    [
        *((keys, 40) for keys in (b"", b"\0", b"a.vcf", b"a.vcf\0b.vcf\0", b"a.vcf\0\0", b"a.vcf\0b", b"\0a.vcf")),
        *((b"a.vcf\0", size) for size in (0, 39, 41, 80)),
        *((keys, 80) for keys in (b"a.vcf\0\0", b"\0a.vcf\0", b"a.vcf\0b.vcf")),
        (b"a.vcf\0\0b.vcf\0", 120),
    ],
)
def test_keys_and_stats_that_do_not_belong_together_are_refused(keys: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="keys"):
        known(Listing(keys, bytes(size)), b".vcf")


NAMES = st.binary(min_size=1, max_size=9).filter(lambda name: not set(name) & {0, 0x2F} and name not in (b".", b".."))


@pytest.mark.usefixtures("in_c")
@settings(max_examples=40, deadline=None)
@given(
    there=st.lists(NAMES, max_size=30, unique=True),
    others=st.lists(NAMES, max_size=30, unique=True),
    prefix=st.sampled_from([b"", b"d/", b"dir/with/more/"]),
    seed=st.integers(0, 2**32),
)
def test_c_and_python_see_the_same(there, others, prefix, seed, tmp_path_factory) -> None:
    choice, folder = random.Random(seed), tmp_path_factory.mktemp("folder")
    for name in there:
        path = folder / os.fsdecode(name)
        if choice.random() < 0.2:
            path.mkdir()
        else:
            path.write_bytes(b"x" * choice.randrange(3))
    entries = in_folder(folder, lambda fd: [(prefix + name, *found[:5]) for name, found in entries_of(fd)])
    kept = [entry if choice.random() < 0.8 else (entry[0], entry[1] + 1, *entry[2:]) for entry in entries if choice.random() < 0.8]
    unmet = [(prefix + name, 1, 1, 1, 1, 0o100644) for name in others if prefix + name not in dict.fromkeys(entry[0] for entry in kept)]
    unmet += [(name + b"/below", 1, 1, 1, 1, 0o100644) for name in others]
    listing = Listing.of(choice.sample(kept + unmet, len(kept) + len(unmet)))
    forgotten = [entry[0] for entry in kept + unmet if choice.random() < 0.2] + [b"nothing", b""]
    for suffix in (b"", b"a", bytes([choice.randrange(1, 256)])):
        trees = [known(listing, suffix)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batches, "NATIVE", None)
            trees.append(known(listing, suffix))
            assert [[tree.forget(key) for key in forgotten] for tree in trees] == [[*[True] * (len(forgotten) - 2), False, False]] * 2
            python = met(folder, trees[1], prefix)
        in_c = met(folder, trees[0], prefix)
        assert sorted(in_c.changed) == sorted(python.changed)
        assert sorted(in_c.missing) == sorted(python.missing)
        assert in_c[2:] == python[2:]
        assert len(trees[0]) == len(trees[1]) == len(listing) - len(forgotten) + 2


@both
def test_a_tree_is_one_listing(tmp_path) -> None:
    for name in ("a", "d/a", "d/e/a", "d/e/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    prefixes = [b"", b"d/", b"d/e/"]
    folders = [tmp_path / os.fsdecode(prefix) for prefix in prefixes]
    glances = [
        (prefix + name, *found[:5])
        for prefix, folder in zip(prefixes, folders, strict=True)
        for name, found in in_folder(folder, lambda fd: list(entries_of(fd)))
    ]
    tree = known(Listing.of(glances), b"")
    assert tree.forget(b"d/e/b")
    assert not tree.forget(b"e/b")
    found = [met(folder, tree, prefix) for prefix, folder in zip(prefixes, folders, strict=True)]
    assert [[(name, entry[5]) for name, entry in each.changed] for each in found] == [[(b"d", EQUAL)], [(b"e", EQUAL)], [(b"b", 0)]]
    assert [sorted(each.missing) for each in found] == [[b"d/a", b"d/e", b"d/e/a"], [b"d/e/a"], []]
    assert (tree.equal, tree.other, len(tree)) == (3, 0, 5)


def test_many_names(tmp_path) -> None:
    names = [f"{number:x}{'n' * (number % 60)}.vcf" for number in range(3000)]
    for name in names:
        (tmp_path / name).touch()
    listing = listed(tmp_path)
    assert compare(tmp_path, listing) == Differences([], [], 3000, 0)
    for name in names[::100]:
        (tmp_path / name).write_bytes(b"edited")
        (tmp_path / name).rename(tmp_path / f"other-{name}")
    found = compare(tmp_path, listing)
    assert sorted(found.missing) == sorted(name.encode() for name in names[::100])
    assert sorted(name for name, _ in found.changed) == sorted(f"other-{name}".encode() for name in names[::100])
    assert found.equal == 2970


# --- in a look ---


class People:
    """A folder of contacts with its journal."""

    def __init__(self, base: Path) -> None:
        self.root = base / "people"
        self.root.mkdir()
        self.journal = Journal.open(base / "journal.db")
        rows = RecordJournal.of(self.journal, "people")
        self.folder = RecordFolder(Gate.open(self.root, known=rows.known), rows, Family.CONTACTS, "laptop")
        self.now_ns = time.time_ns()

    def close(self) -> None:
        self.folder.gate.close()
        self.journal.close()

    def look(self) -> ScanResult:
        """A look, which has to find what a scan of everything does."""
        everything = scan(self.folder.gate, self.folder.journal, self.folder.names, now_ns=self.now_ns, device="laptop")
        found = both_ways(self.folder.journal.listing, lambda: self.folder.look(self.now_ns))
        same(found, everything)
        return found

    def learn(self) -> list[bytes]:
        """Keys that changed."""
        found = self.look()
        self.folder.learn(found)
        return [row.key for row in found.changes]

    def card(self, name: str, note: str = "") -> None:
        uid = name.partition(".")[0]
        (self.root / name).write_text(f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:A\r\nN:A\r\nNOTE:{note}\r\nEND:VCARD\r\n", newline="")

    def made_at(self) -> int:
        """The sequence number at which the listing was made."""
        return self.folder.journal.listing.load()[0]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    made = People(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["quiet", "racy"])
def later(request: pytest.FixtureRequest, people: People) -> None:
    """Looks take place as if nothing had been touched for a while, or right after it was."""
    people.now_ns += -(10**9) if request.param else 3600 * 10**9


def test_a_new_listing_is_made_when_much_has_changed(people, monkeypatch) -> None:
    monkeypatch.setattr(kept, "_OUTDATED", 4)
    people.now_ns += 3600 * 10**9
    for number in range(9):
        people.card(f"{number}.vcf")
    assert len(people.learn()) == 9
    people.folder.settle()
    assert people.made_at() == 9
    people.card("1.vcf", "edited")
    (people.root / "2.vcf").unlink()
    assert people.learn() == [b"1.vcf", b"2.vcf"]
    people.folder.settle()
    assert people.made_at() == 9
    assert people.learn() == []
    # Files that were put back as they were, under other inode numbers: nothing for the journal, but each is looked at.
    for number in range(3, 9):
        file = people.root / f"{number}.vcf"
        before = file.stat()
        (people.root / "new").write_bytes(file.read_bytes())
        os.utime(people.root / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        (people.root / "new").chmod(before.st_mode & 0o777)
        (people.root / "new").rename(file)
    found = people.look()
    assert (found.changes, len(found.refreshed)) == ([], 6)
    people.folder.learn(found)
    assert people.look().refreshed == []
    people.folder.settle()
    assert people.made_at() == 11
    assert people.look().changes == []


def test_a_forgotten_collection_is_not_known(people) -> None:
    people.card("a.vcf")
    people.learn()
    renew(people.folder.journal.listing)
    assert len(people.folder.journal.listing.load()[1]) == 1
    people.journal.forget("people")
    people.journal.collection("people")
    assert people.folder.journal.listing.load() == (0, Listing(b"", b""))


@pytest.mark.usefixtures("later")
def test_edits_of_any_kind_are_found(way, people, monkeypatch) -> None:
    """Random histories: a look finds what a scan of everything finds, whatever was done, and however old the listing is."""
    monkeypatch.setattr(kept, "_OUTDATED", 6)
    choice = random.Random(way)
    names = [f"{number}.vcf" for number in range(24)]
    made = set()
    for round_ in range(60):
        for _ in range(choice.randrange(4) if round_ % 9 else 20):
            name = choice.choice(names)
            edit(choice, people, people.root / name, name, round_)
        if choice.random() < 0.8:
            people.learn()
        else:
            people.look()
        if (row := people.folder.journal.get(choice.choice(names).encode())) is not None:
            # A session has joined the versions of what is the same on both hosts.
            people.folder.journal.take([replace(row, item=replace(row.item, version=row.item.version.raised(77)))])
        if choice.random() < 0.5:
            people.folder.settle()
            made.add(people.made_at())
    assert len(made) > 3


def edit(choice: random.Random, people: People, path: Path, name: str, round_: int) -> None:
    """Something that a person or a program does to one file."""
    what = choice.randrange(12)
    there = path.is_file() and not path.is_symlink()
    if path.is_symlink() and what < 9:
        path.unlink()
    elif path.is_dir():
        path.rmdir()
    elif what < 4 or not there:
        people.card(name, f"{round_ % 7}")
    elif what == 4:
        path.unlink()
    elif what == 5:
        # Replaced as vdirsyncer does it.
        people.card("tmp", f"{round_}")
        (people.root / "tmp").rename(path)
    elif what == 6:
        path.chmod(choice.choice([0o600, 0o644]))
    elif what == 7:
        # Another content of the same length and time.
        before = path.stat()
        path.write_bytes(path.read_bytes().replace(b"FN:A", b"FN:" + bytes([choice.randrange(65, 70)])))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif what == 8:
        path.unlink()
        if choice.random() < 0.5:
            path.mkdir()
        else:
            path.symlink_to("elsewhere.vcf")
    elif what == 9:
        path.write_text("no record")
    elif what == 10:
        os.utime(path, ns=(round_, round_))
    else:
        (people.root / f".{name}").touch()
        (people.root / f"{name}~").touch()
