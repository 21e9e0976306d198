"""What a client session knows of its server, and keeps of it for the next session."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from twsync.syncml.clientsetup import ClientSetup, Remembered
from twsync.syncml.clientstore import ClientStore
from twsync.syncml.clienttraffic import ServerAbilities
from twsync.syncml.datastore import Peer
from twsync.syncml.deviceinfo import entry_for
from twsync.syncml.document import DevInf, Protocol


class ClientMemory:
    """See the module."""

    def __init__(self, setup: ClientSetup) -> None:
        self.remembered: Remembered = setup.remembered
        "See `ClientSession.remembered`."
        self.fresh = False
        "Whether the server's device information came in this session, and is another than it was."
        self._setup = setup

    def open(self, store: ClientStore) -> None:
        """Open the own datastore with what is known now."""
        devinf, setup = self.remembered.devinf, self._setup
        # As on the server's side: the anchors of two hosts hold whichever of them calls.
        host = setup.partner.partition("/")[0]
        account = host if setup.twsync else setup.credentials.user if setup.credentials is not None else ""
        peer = Peer(setup.partner, account, devinf, entry_for(devinf, store.wanted.uri), setup.twsync)
        store.open(peer, store.wanted.name in self.remembered.unfinished)

    def abilities(self, protocol: Protocol, max_object: int | None) -> ServerAbilities:
        """What the server can do.

        :param max_object: MaxObjSize of its header.
        """
        devinf, twsync, later = self.remembered.devinf, self._setup.twsync, protocol is not Protocol.V1_0
        return ServerAbilities(
            twsync=twsync,
            large_objects=later and (twsync or (devinf is not None and devinf.large_objects)),
            number_of_changes=later and (twsync or (devinf is not None and devinf.number_of_changes)),
            max_object=max_object,
        )

    def heard(self, devinf: DevInf) -> None:
        """The server's device information came."""
        self.fresh = devinf != self.remembered.devinf
        self._keep(devinf=devinf)

    def told(self, fingerprint: str) -> None:
        """The server has taken the own device information."""
        self._keep(told=fingerprint)

    def nonce(self, nonce: bytes) -> None:
        """The one for the next digest."""
        if nonce != self.remembered.nonce:
            self._keep(nonce=nonce)

    def unfinished(self, stores: Iterable[ClientStore]) -> None:
        """Which datastores are amid a full session."""
        names = dict.fromkeys(self.remembered.unfinished)
        for store in stores:
            if store.in_full_session:
                names[store.wanted.name] = None
            elif store.in_full_session is False:
                names.pop(store.wanted.name, None)
        self._keep(unfinished=tuple(names))

    def _keep(self, **changed: object) -> None:
        self.remembered = msgspec.structs.replace(self.remembered, **changed)
