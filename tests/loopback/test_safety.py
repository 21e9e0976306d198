"""What must not happen: many deletes, an emptied or a missing root."""

from __future__ import annotations

import shutil


def in_step(world, laptop, desktop, write, count):
    """A collection of `count` files that both hosts hold."""
    name, (here, there) = world.share(laptop, desktop)
    write(here, {f"f{number:03}.txt": f"file {number}" for number in range(count)})
    laptop.sync(name, "desktop").expect(0)
    return name, here, there


def test_a_few_deletes_pass_and_can_be_taken_back(world, laptop, desktop, write, texts, same):
    """Below the guard deletes go through; what they removed is in the trash of that session and can be restored."""
    name, here, there = in_step(world, laptop, desktop, write, 10)
    write(here, {"f003.txt": None, "f004.txt": None})
    result = laptop.sync(name, "desktop").expect(0).document
    assert result["sent"]["deleted"] == 2
    same(here, there)
    assert len(texts(there)) == 8

    listed = desktop.twsync("trash", "list", "--json").expect(0).document
    (entry,) = [each for each in listed if each["item"] == "f003.txt" and each["collection"] == name]
    desktop.twsync("trash", "restore", name, entry["item"]).expect(0)
    assert texts(there)["f003.txt"] == "file 3"
    laptop.sync(name, "desktop").expect(0)
    assert texts(here)["f003.txt"] == "file 3"
    same(here, there)


def test_the_trash_is_emptied_by_hand_and_by_the_settings(world, laptop, desktop, write, same, eventually):
    """While the daemon runs: what it holds goes when somebody says so; what is too old goes when a session has ended."""
    name, here, there = in_step(world, laptop, desktop, write, 10)
    write(here, {"f003.txt": None, "f004.txt": "changed"})
    laptop.sync(name, "desktop").expect(0)
    (emptied,) = desktop.twsync("trash", "empty", name, "--older-than", "1h", "--json").expect(0).document
    assert emptied["files"] == 0
    (emptied,) = desktop.twsync("trash", "empty", name, "--all", "--json").expect(0).document
    assert emptied == {"collection": name, "files": 2, "bytes": 12, "kept": []}
    trash = there / ".twsync" / "trash"
    assert list(trash.iterdir()) == []

    settings = desktop.folder / "syncpeer.toml"
    settings.write_text(settings.read_text().replace(f'name = "{name}"\n', f'name = "{name}"\ntrash_days = 1\n'))
    world.share(desktop)  # the daemon reads the settings again
    old = trash / "20200101T000000Z-old"
    old.mkdir()
    (old / "a").write_text("old")
    write(here, {"f005.txt": None})
    laptop.sync(name, "desktop").expect(0)
    eventually(lambda: not old.exists())
    assert len(list(trash.iterdir())) == 1
    same(here, there)


def test_many_deletes_stop_until_allowed(world, laptop, desktop, write, texts, same, refused):
    """More than 25 items and more than a fifth: nothing is touched until a person allows it."""
    name, here, there = in_step(world, laptop, desktop, write, 60)
    write(here, {f"f{number:03}.txt": None for number in range(30)} | {"new.txt": "new"})
    stopped = laptop.sync(name, "desktop")
    assert "--allow-deletes" in refused(stopped)
    assert stopped.document["state"] == "failed" and stopped.document["error"]["code"]
    assert len(texts(there)) == 60 and len(texts(here)) == 31
    laptop.sync(name, "desktop", "--allow-deletes").expect(0)
    assert len(texts(there)) == 31
    same(here, there)


def test_an_emptied_root_stops(world, laptop, desktop, write, texts, refused):
    """A root that lost everything is more likely a mistake than a wish; allowed, it goes through."""
    name, here, there = in_step(world, laptop, desktop, write, 5)
    write(here, {f"f{number:03}.txt": None for number in range(5)})
    refused(laptop.sync(name, "desktop"))
    assert len(texts(there)) == 5
    laptop.sync(name, "desktop", "--allow-deletes").expect(0)
    assert texts(there) == {}


def test_a_missing_root_stops(world, laptop, desktop, write, texts, refused):
    """A root that is gone, or an empty folder in its place (a disk that is not mounted), deletes nothing on either side."""
    name, here, there = in_step(world, laptop, desktop, write, 5)
    away = here.with_name(f"{here.name}-away")
    here.rename(away)
    refused(laptop.sync(name, "desktop"))
    here.mkdir()
    refused(laptop.sync(name, "desktop", "--allow-deletes"))
    assert len(texts(there)) == 5
    here.rmdir()
    away.rename(here)
    laptop.sync(name, "desktop").expect(0)

    moved = there.with_name(f"{there.name}-away")
    shutil.move(there, moved)
    refused(laptop.sync(name, "desktop"))
    assert len(texts(here)) == 5
    shutil.move(moved, there)
    laptop.sync(name, "desktop").expect(0)
    assert len(texts(here)) == len(texts(there)) == 5
