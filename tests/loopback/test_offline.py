"""A device that is away: the request waits at the server and is carried out on return."""

from __future__ import annotations

import pytest


def online(host, device):
    """Whether `host` sees `device` online."""
    (row,) = [row for row in host.twsync("devices", "--json").expect(0).document if row["device"] == device]
    return row["online"]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_request_waits_for_the_device(end, world, laptop, desktop, write, texts, same, eventually):
    """The caller gets code 4 at once; when the device is back it opens the session by itself."""
    name, (here, there) = world.share(laptop, desktop)
    write(here, {"a.txt": "a"})
    getattr(desktop, end)()
    result = laptop.sync(name, "desktop").expect(4).document
    assert result["state"] == "queued" and result["error"]["code"] == "device-offline"
    eventually(lambda: not online(laptop, "alice/desktop"))
    desktop.start()
    eventually(lambda: texts(there) == {"a.txt": "a"})
    same(here, there)


def test_no_wait_and_alert(world, laptop, desktop, write, texts, eventually):
    """`twsync alert` asks the other device to start the session."""
    name, (here, there) = world.share(laptop, desktop)
    write(there, {"b.txt": "b"})
    laptop.twsync("alert", name, "desktop").expect(0)
    eventually(lambda: texts(here) == {"b.txt": "b"})


def test_a_host_comes_back_by_itself_after_the_server_was_away(world, laptop, desktop, write, same, eventually):
    """Hosts reconnect to a server that was restarted; nobody has to do anything."""
    name, (here, there) = world.share(laptop, desktop)
    world.server.stop()
    write(here, {"a.txt": "a"})
    failed = laptop.sync(name, "desktop")
    assert failed.code == 1 and "Traceback" not in failed.stderr
    world.server.start()
    world.server.wait_ready()
    eventually(lambda: laptop.connected() and desktop.connected(), seconds=30)
    laptop.sync(name, "desktop").expect(0)
    same(here, there)
