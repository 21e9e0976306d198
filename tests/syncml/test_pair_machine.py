"""Two clients and a server edit, synchronise and die at random: at the end all agree, nothing is lost, nothing doubled."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from memory_store import MemoryStore
from syncml_pair import Host, KilledError, host
from syncml_server import World

from twsync.reconcile.model import SyncType
from twsync.syncml.clientsetup import Wanted
from twsync.syncml.document import Encoding, Protocol

FATES = ["lost-request", "lost-reply", "killed-before", "killed-after", "server-dies"]
#: Types that never delete what was not deleted by hand.
TYPES = [SyncType.TWO_WAY, SyncType.TWO_WAY, SyncType.SLOW, SyncType.ONE_WAY_FROM_CLIENT, SyncType.ONE_WAY_FROM_SERVER]


class Hosts(RuleBasedStateMachine):
    """A revision is greater than all before it, and the greater one wins: so what has to stand at the end is known."""

    @initialize(
        protocol=st.sampled_from(list(Protocol)),
        encoding=st.sampled_from(list(Encoding)),
        limits=st.tuples(*[st.sampled_from([2_500, 5_000, 150_000])] * 2),
        twsync=st.booleans(),
    )
    def begin(self, protocol: Protocol, encoding: Encoding, limits: tuple[int, int], twsync: bool) -> None:
        if protocol is Protocol.V1_0:
            limits = (150_000, 150_000)  # it cannot cut large objects
        self.server = MemoryStore("card")
        self.world = World([self.server])
        self.clients: list[Host] = [
            host(MemoryStore("card"), device=name, protocol=protocol, encoding=encoding, max_message=limit, twsync=twsync)
            for name, limit in zip(("laptop", "phone"), limits, strict=True)
        ]
        self.places = [self.server, *(client.stores["card"] for client in self.clients)]
        self.revision = 0
        self.latest: dict[str, str] = {}
        self.deleted: set[str] = set()

    def text(self, name: str, size: int) -> str:
        self.revision += 1
        self.latest[name] = f"{name}={self.revision:05}" + "é<x>\n&]]>"[: size % 9] * (size // 4)
        return self.latest[name]

    @rule(place=st.integers(0, 2), size=st.sampled_from([0, 5, 300, 6_000]))
    def add(self, place: int, size: int) -> None:
        name = f"N{len(self.latest)}"
        self.places[place].put(f"{place}-{name}", self.text(name, size))

    @rule(number=st.integers(0, 9), place=st.integers(0, 2), size=st.sampled_from([0, 7, 900]))
    def edit(self, number: int, place: int, size: int) -> None:
        store, name = self.places[place], f"N{number}"
        for key, data in store.items.items():
            if data.startswith(f"{name}="):
                store.put(key, self.text(name, size))
                return

    @rule(number=st.integers(0, 9), place=st.integers(0, 2))
    def delete(self, number: int, place: int) -> None:
        store, name = self.places[place], f"N{number}"
        for key, data in store.items.items():
            if data.startswith(f"{name}="):
                store.delete(key)
                self.deleted.add(name)
                return

    @rule(
        client=st.integers(0, 1),
        sync_type=st.sampled_from(TYPES),
        fates=st.dictionaries(st.integers(1, 8), st.sampled_from(FATES), max_size=2),
        suspend_at=st.one_of(st.none(), st.integers(1, 4)),
        resume=st.booleans(),
    )
    def sync(self, client: int, sync_type: SyncType, fates: dict[int, str], suspend_at: int | None, resume: bool) -> None:
        chosen = self.clients[client]
        chosen.road = lambda at: fates.get(at, "")
        chosen.suspend_at = suspend_at
        with contextlib.suppress(KilledError):
            chosen.sync(self.world, Wanted("card", "card", sync_type, resume=resume))
        chosen.road, chosen.suspend_at = (lambda at: ""), None

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        for _ in range(3):
            for client in self.clients:
                result = client.sync(self.world)
                assert result.error is None
                assert [store.error for store in result.stores] == [None]
        contents = self.server.contents
        for client in self.clients:
            assert client.stores["card"].contents == contents
        standing = {data.partition("=")[0]: data for data in contents}
        assert len(standing) == len(contents), "an item was doubled"
        assert set(self.latest) - self.deleted <= set(standing), "an item was lost"
        for name, data in standing.items():
            assert name in self.deleted or data == self.latest[name], "an edit was lost"


TestHosts = Hosts.TestCase
TestHosts.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    phases=[Phase.generate],
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
