"""A session whose process dies at any step of the Applier, of either host: the next sessions lose and double nothing."""

from __future__ import annotations

import pytest

from twsync.reconcile.model import Side, SyncType


def prepare(tools, client, server, twsync) -> None:
    """Two hosts in step, then edits of every sort on both."""
    for name in ("Ann", "Bob", "Cid", "Dan"):
        client.write(f"{name}.vcf", tools.card(name, "TEL:1"))
    tools.sync(client, server, twsync=twsync)
    keys = {text.split("FN:")[1].split("\r")[0]: key for key, text in server.files().items()}
    client.write("Ann.vcf", tools.card("Ann", "TEL:1", "NOTE:from the client"))
    server.write(keys["Ann"], tools.card("Ann", "TEL:1", "EMAIL:server@example.org"))
    client.delete("Bob.vcf")
    server.delete(keys["Cid"])
    client.write("Eve.vcf", tools.card("Eve"))
    server.write("Fay.vcf", tools.card("Fay"))
    server.write(keys["Dan"], tools.card("Dan", "TEL:2"))


def check(client, server) -> None:
    assert client.digests() == server.digests()
    text = "".join(client.files().values())
    for name, times in (("Ann", 1), ("Bob", 0), ("Cid", 0), ("Dan", 1), ("Eve", 1), ("Fay", 1)):
        assert text.count(f"FN:{name}\r\n") == times, name
    assert "NOTE:from the client" in text
    assert "EMAIL:server@example.org" in text
    assert "TEL:2" in text


def attempt(tools, client, server, twsync, kind, stop_client: int, stop_server: int) -> bool:
    """A session that may die; whether it did."""
    one = client.open(server.peer(twsync), Side.CLIENT, tools.stops_at(stop_client))
    other = server.open(client.peer(twsync), Side.SERVER, tools.stops_at(stop_server))
    try:
        tools.Sync(one, other, kind, 77, size=2).run()
        one.close()
        other.close()
    except tools.Stopped:
        client.restart()
        server.restart()
        return True
    one._session.gate.close()
    other._session.gate.close()
    return False


@pytest.mark.parametrize("kind", [SyncType.TWO_WAY, SyncType.SLOW])
@pytest.mark.parametrize("twsync", [True, False])
@pytest.mark.parametrize("side", list(Side))
def test_a_stop_at_every_step(tools, tmp_path, side, twsync, kind) -> None:
    number = 0
    stopped = True
    while stopped:
        number += 1
        clock = tools.Clock()
        client = tools.Box(tmp_path / f"c{number}", "laptop", clock=clock)
        server = tools.Box(tmp_path / f"s{number}", "desktop", clock=clock)
        try:
            prepare(tools, client, server, twsync)
            steps = (number, 0) if side is Side.CLIENT else (0, number)
            stopped = attempt(tools, client, server, twsync, kind, *steps)
            tools.sync(client, server, twsync=twsync)
            tools.sync(client, server, twsync=twsync)
            if kind is SyncType.TWO_WAY:
                check(client, server)
            else:
                # A slow sync brings back what was deleted on one side, once.
                text = "".join(client.files().values())
                assert client.digests() == server.digests()
                assert all(text.count(f"FN:{name}\r\n") <= 1 for name in ("Ann", "Bob", "Cid", "Dan", "Eve", "Fay"))
            assert tools.sync(client, server, twsync=twsync)[0].sent == 0
        finally:
            client.close()
            server.close()
    assert number > 8
