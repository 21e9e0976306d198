"""The commands of a client's messages, carried out by the server of a session.

The order of work is device information, Alerts, Maps, all others; the Statuses stand in the order of the commands (fact sheet sections
3.1 and 5). Commands of our own that come of it wait until the client's package is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twsync import limits
from twsync.syncml.codes import BY_SERVER, SYNC_TYPES, AlertCode, StatusCode, number
from twsync.syncml.deviceinfo import OwnDevice, find_devinf, get_devinf, is_devinf, own_devinf, results_devinf, shortened
from twsync.syncml.document import (
    Alert,
    Anchor,
    Change,
    Command,
    Cred,
    Encoding,
    Group,
    Header,
    Item,
    Map,
    Message,
    Meta,
    Other,
    Protocol,
    Put,
    Results,
    Status,
    Sync,
)
from twsync.syncml.outbox import Outbox
from twsync.syncml.packages import Event
from twsync.syncml.ports import Devices
from twsync.syncml.receiving import Received, refusal
from twsync.syncml.references import Awaited, status
from twsync.syncml.sending import Answer
from twsync.syncml.serverstore import ServerStore
from twsync.syncml.serverstores import Alerted, ServerStores

#: Checks a Cred within a command: the status to answer if it does not hold.
Check = Callable[[Cred, Header], StatusCode | None]
#: A command that waits until the client's package is over: made when it is written, for the message that it goes into; and what happens
#: then, given it, the MsgID and what is awaited.
Pending = tuple[Callable[[Outbox], Command], Callable[[Command, str, Awaited[Answer]], None]]

#: Alerts that start or resume the synchronisation of a datastore.
_STARTS = frozenset(SYNC_TYPES) | frozenset(BY_SERVER) | {int(AlertCode.RESUME)}
#: Order in which the commands of a message are dealt with; Statuses come before all.
_ORDER: tuple[type, ...] = (Put, Results, Alert, Map)


class ServerCommands:
    """See the module.

    :param own: what the device information says of this host.
    :param stores: the datastores of the session.
    :param account: who the client is; with `device` whose device information is kept.
    :param check: see `Check`.
    """

    def __init__(self, own: OwnDevice, stores: ServerStores, devices: Devices, account: str, device: str, check: Check) -> None:
        self._own = own
        self._stores = stores
        self._devices = devices
        self._account = account
        self._device = device
        self._check = check
        self._pending: deque[Pending] = deque()
        self._asked = False
        self._encoding = Encoding.XML
        self._now = 0.0
        self._max_object: int | None = None
        self.suspended = False
        "Whether the client has suspended the session."

    def carry_out(self, message: Message, encoding: Encoding, now: float, max_object: int | None) -> list[Status]:
        """All commands of a message but its Statuses.

        :param now: seconds since 1970.
        :param max_object: bytes of the largest object that the client takes, as its headers say.
        :returns: the Statuses that are owed for them.
        """
        header, stores = message.header, self._stores
        self._encoding, self._now, self._max_object = encoding, now, max_object
        commands = [command for command in _flat(message.body) if not isinstance(command, Status)]
        answers: dict[int, Sequence[Status]] = {}
        for kind in (*_ORDER, object):
            for position, command in enumerate(commands):
                if position not in answers and isinstance(command, kind):
                    answers[position] = self._command(stores, command, header)
        owed: list[Status] = []
        for position, command in enumerate(commands):
            if not header.no_resp and not getattr(command, "no_resp", False):
                owed += answers[position]
        return owed

    def _command(self, stores: ServerStores, command: Command, header: Header) -> Sequence[Status]:
        """Deal with one command; its Statuses."""
        cred = getattr(command, "cred", None)
        denied = self._check(cred, header) if cred is not None else None
        if denied is not None:
            return [status(header.msg_id, command, denied)]
        match command:
            case Alert():
                return self._alert(stores, command, header)
            case Sync():
                return self._sync(stores, command, header)
            case Map():
                return [status(header.msg_id, command, stores.map(command))]
            case Put():
                return [self._put(stores, command, header)]
            case Results():
                self._know(stores, command)
                return [status(header.msg_id, command, StatusCode.OK)]
            case Group(name="Sequence"):
                return [status(header.msg_id, command, StatusCode.OK)]
            case Group():
                inner = [
                    status(header.msg_id, child, StatusCode.NOT_EXECUTED) for child in command.commands if not isinstance(child, Status)
                ]
                return [status(header.msg_id, command, StatusCode.NOT_SUPPORTED), *inner]
            case Change():
                # Outside of a Sync nobody knows which datastore is meant.
                return [status(header.msg_id, command, StatusCode.NOT_ALLOWED)]
            case Other():
                return [status(header.msg_id, command, refusal(command.name))]
            case _:
                return []

    def _put(self, stores: ServerStores, command: Put, header: Header) -> Status:
        if command.name == "Put":
            known = self._know(stores, command)
            return status(header.msg_id, command, StatusCode.OK if known else StatusCode.NOT_SUPPORTED)
        if not any(item.target is not None and is_devinf(item.target.uri) for item in command.items):
            return status(header.msg_id, command, StatusCode.NOT_FOUND)

        encoding = self._encoding

        def results(outbox: Outbox) -> Results:
            whole = own_devinf(self._own, header.protocol, stores.describe())
            told = [results_devinf(devinf, encoding, header.msg_id, command.cmd_id) for devinf in shortened(whole)]
            # In fewer words only where no later message has room for more.
            fitting = [one for one in told if outbox.measure(one) <= outbox.room] if outbox.bare else told
            return fitting[0] if fitting else told[-1]

        if self._crowded:
            return status(header.msg_id, command, StatusCode.TOO_LARGE)
        self._pending.appendleft((results, _nothing))
        return status(header.msg_id, command, StatusCode.OK)

    def _know(self, stores: ServerStores, command: Put | Results) -> bool:
        devinf = find_devinf(command)
        if devinf is None:
            return False
        self._devices.store(self._account, self._device, devinf)
        stores.know(devinf)
        return True

    def _alert(self, stores: ServerStores, command: Alert, header: Header) -> Sequence[Status]:
        code = number(command.code)
        if code in _STARTS:
            if not command.items:
                return [status(header.msg_id, command, StatusCode.INCOMPLETE)]
            if self._crowded:
                return [status(header.msg_id, command, StatusCode.TOO_LARGE)]
            return [self._start(stores, command, code, item, header) for item in command.items]
        if code == AlertCode.NO_END_OF_DATA:
            for item in command.items:
                for place in (item.source, item.target):
                    stores.lost(place.uri if place is not None else "")
        elif code == AlertCode.SUSPEND and header.protocol is Protocol.V1_2:
            self.suspended = True
            stores.fail("the client suspended the session")
        elif code not in (AlertCode.DISPLAY, AlertCode.RESULT, AlertCode.NEXT_MESSAGE):
            return [status(header.msg_id, command, StatusCode.NOT_SUPPORTED)]
        return [status(header.msg_id, command, StatusCode.OK)]

    def _start(self, stores: ServerStores, command: Alert, code: int, item: Item, header: Header) -> Status:
        answer: Alerted = stores.alert(code, item, header.protocol, self._now, self._max_object)
        store = answer.store
        if store is not None:
            self._pending.append((lambda _: store.alert(), lambda *written: self._told(store, *written)))
        anchor = item.meta.anchor if item.meta is not None else None
        echo = (Item(data=Meta(anchor=Anchor(next=anchor.next))),) if anchor is not None and store is not None else ()
        return status(header.msg_id, command, answer.code, item, text=answer.text, items=echo)

    def _told(self, store: ServerStore, written: Command, msg_id: str, awaited: Awaited[Answer]) -> None:
        if store.course.allows(Event.TOLD):
            store.course.happens(Event.TOLD)
        awaited.sent(msg_id, written, lambda _answer, code: store.alert_answered(code))

    def _sync(self, stores: ServerStores, command: Sync, header: Header) -> Sequence[Status]:
        received = stores.sync(command, header.msg_id, lambda cred: self._check(cred, header))
        if not isinstance(received, Received):
            refused = [status(header.msg_id, child, received) for child in command.commands if not child.no_resp]
            return [status(header.msg_id, command, received), *refused]
        self.report_lost(received.lost)
        return received.statuses

    def report_lost(self, lost: Sequence[Item]) -> None:
        """Alert 223 for objects whose end did not come.

        :param lost: their first chunks.
        """
        for item in lost:
            named = Item(target=item.target, source=item.source)
            self._later(Alert(cmd_id="", code=str(int(AlertCode.NO_END_OF_DATA)), items=(named,)))

    @property
    def _crowded(self) -> bool:
        """Whether so many commands wait to be sent that no message may ask for more."""
        return len(self._pending) >= limits.MAX_WAITING_COMMANDS

    def _later(self, command: Command) -> None:
        if not self._crowded:
            self._pending.append((lambda _: command, _nothing))

    def write(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write the commands that wait; whether all found room."""
        while self._pending:
            make, done = self._pending[0]
            written = outbox.add(make(outbox))
            if written is None:
                return False
            self._pending.popleft()
            done(written, outbox.header.msg_id, awaited)
        return True

    def ask_device(self, protocol: Protocol) -> None:
        """Ask for the device information of an unknown client, once."""
        if not self._stores.knows_device and not self._asked:
            self._asked = True
            self._later(get_devinf(protocol, self._encoding))


def _flat(commands: Sequence[Command]) -> list[Command]:
    """The commands of a body, those within a Sequence behind it: a Sequence is done in its order, which is what is done anyway."""
    flat: list[Command] = []
    for command in commands:
        flat.append(command)
        if isinstance(command, Group) and command.name == "Sequence":
            flat += _flat(command.commands)
    return flat


def _nothing(_written: Command, _msg_id: str, _awaited: Awaited[Answer]) -> None:
    """For a command whose Status does not matter."""
