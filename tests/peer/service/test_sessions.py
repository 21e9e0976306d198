"""Sessions from the first call to the result: agreement, trust, one at a time, refusals, and every way to end."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred

from twsync.errors import ConfigError, SessionError, StoreError
from twsync.peer import documents
from twsync.peer.caller import Order
from twsync.peer.calls import Call
from twsync.peer.presence import Device
from twsync.peer.refusals import Refusal
from twsync.peer.sessions import Running, blank
from twsync.peer.stored import Invitations
from twsync.reconcile.model import Side
from twsync.session.description import from_xml
from twsync.session.result import State
from twsync.sip.request import SyncRequest

ORDER = Order("photos", "alice/desktop", "two-way")
BUSY = Refusal(486, "busy", "alice/desktop is busy.")


def start(peer, order=ORDER, report=lambda event: None):
    results = []
    running, task = peer.caller.start(order, report)
    task.addBoth(results.append)
    return running, results


def test_both_sides_agree_and_are_recorded(laptop, desktop, introduce):
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    events = []
    running, results = start(laptop, report=events.append)
    (result,) = results
    assert (result.state, result.session) == ("done", running.session)
    (work,) = laptop.exchange.work
    token, fingerprint, arriving = desktop.listener.expected[0]
    assert work.token == token
    assert len(token) == 32
    assert fingerprint == laptop.host.device.fingerprint
    assert laptop.connected == [([("198.51.100.7", 5062)], desktop.host.device.fingerprint)]
    assert laptop.agent.calls.ended[0].session == running.session
    assert [event["phase"] for event in events] == ["connecting", "calling", "connecting", "transfer"]
    assert json.loads(laptop.agent.calls.informed[0])["phase"] == "transfer"

    arriving.callback(object())
    (theirs,) = desktop.exchange.work
    assert (theirs.role, theirs.partner, theirs.session) == (Side.SERVER, "alice/laptop", running.session)
    for peer, role in ((laptop, "client"), (desktop, "server")):
        record = peer.journal.sessions.get(running.session)
        assert (record.state, record.role) == ("done", role)
        assert json.loads(record.result)["state"] == "done"
        assert not peer.host.sessions.busy("photos")
    assert laptop.journal.trust.get("alice/desktop").fingerprint == desktop.host.device.fingerprint
    assert desktop.journal.trust.get("alice/laptop").fingerprint == laptop.host.device.fingerprint


def test_when_a_host_comes_to_rest(laptop, desktop, introduce):
    """Once after sessions, and not as long as the last message of one may still come."""
    sessions = laptop.host.sessions
    assert not sessions.come_to_rest()
    running = Running("abc", "photos", "alice/desktop", Side.CLIENT, "two-way", 0)
    sessions.begin(running)
    assert sessions.under_way()
    sessions.finish(running, blank(running, State.DONE))
    assert not sessions.come_to_rest()
    assert sessions.under_way()
    sessions.over(running)
    assert not sessions.under_way()
    assert sessions.come_to_rest()
    assert not sessions.come_to_rest()
    Deferred.fromCoroutine(sessions.stop(laptop.clock))
    assert sessions.under_way()


def test_description_is_signed_and_names_everything(laptop, desktop, introduce):
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    start(laptop)
    offer = from_xml(laptop.agent.calls.made[0][2]).description
    answer = from_xml(desktop.agent.calls.accepted[0][1]).description
    assert (offer.caller, offer.callee, offer.source_ip, offer.source_port) == ("alice/laptop", "alice/desktop", "198.51.100.7", 0)
    assert (answer.destination_ip, answer.destination_port) == ("198.51.100.7", 5062)
    assert not offer.is_answer
    assert answer.is_answer


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_changed_key_is_refused_and_can_be_trusted(side, laptop, desktop, introduce):
    victim, partner, other = (laptop, "alice/desktop", desktop) if side == "caller" else (desktop, "alice/laptop", laptop)
    victim.journal.trust.meet(partner, "sha256:" + "00" * 32, 1)
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    _, results = start(laptop)
    assert (results[0].state, results[0].error.code) == ("failed", "key-changed")
    assert f"twsync trust {partner}" in results[0].error.message
    assert victim.journal.trust.get(partner).offered == other.host.device.fingerprint
    assert not laptop.exchange.work
    victim.journal.trust.accept(partner, 2)
    desktop.agent.calls.refused.clear()
    if side == "caller":
        desktop.listener.expected[0][2].cancel()
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    _, results = start(laptop)
    assert results[0].state == "done"


def test_first_key_must_be_the_announced_one(laptop, desktop, introduce):
    other = "sha256:" + "11" * 32
    laptop.agent.presence.devices = {"alice/desktop": Device("alice/desktop", True, None, None, other, None)}
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    _, results = start(laptop)
    assert results[0].error.code == "key-changed"
    assert laptop.journal.trust.get("alice/desktop") is None


@pytest.mark.parametrize(
    ("refusal", "state", "code"),
    [
        (Refusal(480, "device-offline", "Stored.", True), "queued", "device-offline"),
        (Refusal(480, "device-offline", "Offline."), "failed", "device-offline"),
        (Refusal(403, "forbidden", "No."), "failed", "forbidden"),
        (Refusal(404, "not-found", "No."), "failed", "not-found"),
        (Refusal(488, "type-mismatch", "No."), "failed", "type-mismatch"),
        (Refusal(0, "server-unreachable", "Gone."), "failed", "server-unreachable"),
    ],
)
def test_refusals_are_results(laptop, refusal, state, code):
    laptop.agent.calls.answers.append(refusal)
    running, results = start(laptop)
    assert (results[0].state, results[0].error.code) == (state, code)
    assert laptop.journal.sessions.get(running.session).state == state
    assert not laptop.host.sessions.busy("photos")


def test_busy_is_called_again_with_growing_pauses(laptop, desktop, introduce):
    laptop.agent.calls.answers += [BUSY, BUSY, introduce(laptop, desktop)]
    _, results = start(laptop)
    moments = []
    while not results:
        before = len(laptop.agent.calls.made)
        laptop.clock.advance(0.1)
        if len(laptop.agent.calls.made) > before:
            moments.append(laptop.clock.seconds())
    assert results[0].state == "done"
    assert moments[1] - moments[0] > moments[0]
    assert len({session for _, session, _ in laptop.agent.calls.made}) == 1


def test_busy_until_the_timeout(laptop):
    laptop.agent.calls.answers += [BUSY] * 50
    _, results = start(laptop, dataclasses.replace(ORDER, timeout=5.0))
    for _ in range(60):
        laptop.clock.advance(0.1)
    assert (results[0].state, results[0].error.code) == ("failed", "busy")


def test_between_two_attempts_the_other_one_may_call(laptop, desktop, introduce):
    """Two devices that call each other at the same time: while one waits, the other gets through."""
    laptop.agent.calls.answers.append(BUSY)
    start(laptop)
    assert not laptop.host.sessions.busy("photos")
    desktop.agent.calls.answers.append(introduce(desktop, laptop))
    _, results = start(desktop, dataclasses.replace(ORDER, device="alice/laptop"))
    assert results[0].state == "done"


def test_one_session_of_a_collection_at_a_time(laptop, desktop, introduce):
    end = Deferred()
    laptop.exchange.outcome = lambda work: end
    laptop.agent.calls.answers += [introduce(laptop, desktop), introduce(laptop, desktop)]
    start(laptop)
    _, second = start(laptop)
    assert len(laptop.exchange.work) == 1
    _, third = start(laptop, dataclasses.replace(ORDER, timeout=2.0))
    laptop.clock.advance(2)
    assert third[0].error.code == "busy"
    _, called = start(desktop, dataclasses.replace(ORDER, device="alice/laptop", timeout=0.1))
    desktop.clock.advance(0.1)
    assert called[0].error.code == "busy"
    desktop.listener.expected[0][2].callback(object())
    end.callback(None)
    laptop.clock.advance(0)
    assert second[0].state == "done"


def test_no_connection_to_the_server(laptop):
    laptop.agent.registered = False
    _, results = start(laptop)
    assert results[0].error.code == "server-unreachable"
    assert "the server is away" in results[0].error.message


def test_lost_flow_before_the_call(laptop):
    laptop.agent.flow = None
    _, results = start(laptop)
    assert results[0].error.code == "server-unreachable"


def test_exchange_errors_are_results_and_the_call_is_ended(laptop, desktop, introduce):
    def fail(work):
        raise SessionError("The disk is full.", "disk-full")

    laptop.exchange.outcome = fail
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    _, results = start(laptop)
    assert (results[0].state, results[0].error.code) == ("failed", "disk-full")
    assert len(laptop.agent.calls.ended) == 1


def test_a_defect_is_a_result_without_its_text(laptop, desktop, introduce):
    def fail(work):
        raise RuntimeError("secret")

    laptop.exchange.outcome = fail
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    _, results = start(laptop)
    assert results[0].error.code == "defect"
    assert "secret" not in results[0].error.message


def test_unknown_collection_and_device_not_allowed(make_peer):
    peer = make_peer("laptop", devices=("phone",))
    with pytest.raises(ConfigError):
        peer.caller.start(Order("nothing", "alice/desktop", "two-way"))
    with pytest.raises(SessionError):
        peer.caller.start(ORDER)


def test_answer_of_another_session_is_refused(laptop, desktop, introduce):
    proper = introduce(laptop, desktop)

    async def twisted(partner, session, offer):
        call = await proper(partner, session, offer)
        other = from_xml(call.body).description
        call.body = desktop.host.signed(dataclasses.replace(other, session="another"))
        return call

    laptop.agent.calls.answers.append(twisted)
    _, results = start(laptop)
    assert results[0].error.code == "wrong-answer"


def test_garbage_for_an_answer(laptop):
    async def garbage(partner, session, offer):
        return Call(session, partner, SimpleNamespace(), b"<no")

    laptop.agent.calls.answers.append(garbage)
    _, results = start(laptop)
    assert results[0].error.code == "bad-answer"
    assert len(laptop.agent.calls.ended) == 1


# --- the callee ------------------------------------------------------------------------------------------------------------------------


def offered(desktop, laptop, **changes):
    """Let the laptop's offer, changed, come to the desktop."""
    captured = []

    async def capture(partner, session, offer):
        captured.append((session, offer))
        return Refusal(403, "x", "X.")

    laptop.agent.calls.answers.append(capture)
    start(laptop)
    session, body = captured[0]
    if changes:
        body = laptop.host.signed(dataclasses.replace(from_xml(body).description, **changes))
    desktop.callee.offered(SimpleNamespace(session=session, partner="alice/laptop", body=body))
    return session


def test_garbage_for_an_offer(desktop):
    desktop.callee.offered(SimpleNamespace(session="s", partner="alice/laptop", body=b"<no"))
    assert desktop.agent.calls.refused[0][:2] == (400, "bad-offer")


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"collection": "music"}, 404), ({"data_type": "pictures"}, 488), ({"caller": "alice/other"}, 403), ({"session": "another"}, 403)],
)
def test_refused_offers(changes, status, laptop, desktop):
    offered(desktop, laptop, **changes)
    assert desktop.agent.calls.refused[0][0] == status
    assert not desktop.agent.calls.accepted


def test_a_folder_that_the_system_does_not_look_at_is_480(laptop, desktop):
    settings = desktop.host.settings
    photos = settings.collection("photos")
    odd = dataclasses.replace(photos, path=photos.path / ("x" * 300))
    desktop.host.settings = dataclasses.replace(settings, collections=(odd,))
    offered(desktop, laptop)
    assert desktop.agent.calls.refused[0][:2] == (480, "not-ready")


def test_missing_folder_is_480(laptop, desktop):
    desktop.host.settings.collection("photos").path.rmdir()
    offered(desktop, laptop)
    assert desktop.agent.calls.refused[0][:2] == (480, "not-ready")


def test_collection_of_other_devices_is_403(make_peer, laptop):
    desktop = make_peer("desktop", devices=("phone",))
    offered(desktop, laptop)
    assert desktop.agent.calls.refused[0][:2] == (403, "not-allowed")


def test_caller_that_hangs_up_before_the_data(laptop, desktop):
    session = offered(desktop, laptop)
    running = desktop.host.sessions.running[0]
    assert running.session == session
    arriving = desktop.listener.expected[0][2]
    running.task.cancel()
    assert desktop.journal.sessions.get(session).state == "failed"
    assert not desktop.host.sessions.busy("photos")
    assert arriving.called


def test_caller_that_went_away_before_the_answer(laptop, desktop):
    desktop.agent.calls.callers_stay = False
    offered(desktop, laptop)
    assert not desktop.host.sessions.busy("photos")
    assert not desktop.host.sessions.running


# --- no room for the journal ------------------------------------------------------------------------------------------------------------


class Full:
    """A journal's disk that takes nothing, as long as the context lasts."""

    def __init__(self, peer, *names):
        self._store, self._names = peer.journal.sessions, names

    def __enter__(self):
        for name in self._names:
            setattr(self._store, name, self._refuse)

    def __exit__(self, *_):
        for name in self._names:
            delattr(self._store, name)

    def _refuse(self, *_):
        raise StoreError("No room for the journal: make room on its disk, then try again.", "disk-full")


def test_an_offer_is_refused_without_room_for_it(laptop, desktop):
    """The caller would wait for a side that cannot hold the session."""
    with Full(desktop, "begin"):
        offered(desktop, laptop)
    calls = desktop.agent.calls
    assert not calls.accepted
    ((status, code, sentence),) = calls.refused
    assert (status, code) == (500, "disk-full")
    assert sentence.startswith("alice/desktop: No room for the journal")
    assert not desktop.host.sessions.busy("photos")
    assert not desktop.host.sessions.running
    assert all(arriving.called for _, _, arriving in desktop.listener.expected)
    offered(desktop, laptop)
    assert len(calls.accepted) == 1


def test_a_session_is_not_begun_without_room_for_it(laptop):
    with Full(laptop, "begin"), pytest.raises(StoreError, match="No room"):
        laptop.caller.start(ORDER)
    assert not laptop.host.sessions.running
    stopped = Deferred.fromCoroutine(laptop.host.sessions.stop(laptop.clock))
    assert stopped.called


@pytest.mark.parametrize("names", [("finish",), ("prune",), ("finish", "add_trace")])
def test_both_sides_end_without_room_for_the_result(names, laptop, desktop, introduce):
    laptop.agent.calls.answers += [introduce(laptop, desktop)] * 2
    with Full(laptop, *names), Full(desktop, *names):
        running, (result,) = start(laptop)
        desktop.listener.expected[0][2].callback(object())
        desktop.clock.advance(11)
        laptop.host.tracer.flush()
    assert result.state == "done"
    for peer in (laptop, desktop):
        assert [call.session for call in peer.agent.calls.ended] == [running.session]
        assert not peer.host.sessions.busy("photos")
        assert not peer.host.sessions.running
        assert peer.host.sessions.come_to_rest()
    # As soon as there is room, the history has it.
    start(laptop)
    record = laptop.journal.sessions.get(running.session)
    assert (record.state, json.loads(record.result)["state"]) == ("done", "done")


def test_what_fails_behind_the_answer_ends_the_call(laptop, desktop):
    def look(*_):
        raise RuntimeError("a mistake")

    desktop.host.look = look
    session = offered(desktop, laptop)
    desktop.clock.advance(11)
    assert [call.session for call in desktop.agent.calls.ended] == [session]
    assert desktop.listener.expected[0][2].called
    assert not desktop.host.sessions.busy("photos")
    assert desktop.journal.sessions.get(session).state == "failed"


def test_data_connection_that_never_comes(laptop, desktop):
    session = offered(desktop, laptop)
    desktop.listener.expected[0][2].errback(SessionError("Nothing came.", "no-data-connection"))
    record = desktop.journal.sessions.get(session)
    assert json.loads(record.result)["error"]["code"] == "no-data-connection"


def test_callee_hangs_up_if_the_caller_does_not(laptop, desktop):
    offered(desktop, laptop)
    desktop.listener.expected[0][2].callback(object())
    assert not desktop.agent.calls.ended
    desktop.clock.advance(11)
    assert len(desktop.agent.calls.ended) == 1


# --- the look at the disk that begins meanwhile -----------------------------------------------------------------------------------------


class FakeLook:
    """As `looking.Look`, as far as the two sides of a call use it."""

    def __init__(self, *begun):
        self.begun, self.closed = begun, 0

    async def close(self):
        self.closed += 1


def looks_of(peer):
    """The looks that a host begins from now on."""
    looks = []

    def look(*begun):
        looks.append(FakeLook(*begun))
        return looks[-1]

    peer.host.look = look
    return looks


def test_both_sides_look_at_their_disks_while_they_are_introduced(laptop, desktop, introduce):
    mine, theirs = looks_of(laptop), looks_of(desktop)
    introduced = introduce(laptop, desktop)
    called = []

    async def answer(*args):
        called.append(len(mine))
        return await introduced(*args)

    laptop.agent.calls.answers.append(answer)
    running, results = start(laptop)
    assert results[0].state == "done"
    assert called == [1], "begun when the INVITE goes out"
    assert laptop.exchange.work[0].look is mine[0]
    assert mine[0].begun == (laptop.host.settings.collections[0], running.session, Side.CLIENT, "two-way")
    assert len(theirs) == 1, "begun when the INVITE is accepted"
    desktop.listener.expected[0][2].callback(object())
    assert desktop.exchange.work[0].look is theirs[0]
    assert theirs[0].begun[1:] == (running.session, Side.SERVER, "two-way")
    assert (mine[0].closed, theirs[0].closed) == (1, 1)


def test_a_refused_call_lets_go_of_the_look_and_the_next_begins_none(laptop, desktop, introduce):
    looks = looks_of(laptop)
    laptop.agent.calls.answers += [BUSY, introduce(laptop, desktop)]
    _, results = start(laptop)
    assert [look.closed for look in looks] == [1]
    assert not laptop.host.sessions.busy("photos")
    while not results:
        laptop.clock.advance(0.1)
    assert results[0].state == "done"
    assert len(looks) == 1 and laptop.exchange.work[0].look is None


def test_a_connection_that_fails_lets_go_of_the_look_on_both_sides(laptop, desktop, introduce):
    mine, theirs = looks_of(laptop), looks_of(desktop)

    async def connect(candidates, fingerprint):
        raise SessionError("Nobody is there.", "unreachable")

    laptop.host.connect = connect
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    _, results = start(laptop)
    assert results[0].error.code == "unreachable"
    assert mine[0].closed == 1
    desktop.listener.expected[0][2].errback(SessionError("Nothing came.", "no-data-connection"))
    assert theirs[0].closed == 1
    assert not desktop.host.sessions.busy("photos")


def test_an_offer_that_is_refused_begins_no_look(laptop, desktop):
    looks = looks_of(desktop)
    desktop.agent.calls.callers_stay = False
    offered(desktop, laptop)
    desktop.host.sessions.take("photos")
    offered(desktop, laptop)
    assert looks == []


# --- the end of the daemon --------------------------------------------------------------------------------------------------------------


def test_stop_ends_sessions_in_good_order(laptop, desktop, introduce):
    laptop.exchange.outcome = lambda work: Deferred()
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    running, results = start(laptop)
    stopped = Deferred.fromCoroutine(laptop.host.sessions.stop(laptop.clock))
    assert stopped.called
    assert results[0].error.code == "interrupted"
    assert laptop.journal.sessions.get(running.session).state == "failed"
    with pytest.raises(SessionError):
        laptop.caller.start(ORDER)


def test_sessions_found_open_are_failed(laptop):
    laptop.journal.sessions.begin("s", "photos", "alice/desktop", "client", 5)
    assert laptop.journal.sessions.interrupted(7) == 1
    document = documents.session(laptop.journal.sessions.get("s"))
    assert (document["state"], document["error"]["code"]) == ("failed", "interrupted")


# --- requests of others ----------------------------------------------------------------------------------------------------------------


def test_stored_request_opens_the_session_once(laptop, desktop, introduce):
    invitations = Invitations(laptop.host, laptop.caller)
    request = SyncRequest("7", "alice/desktop", "photos", "one-way-from-server")
    laptop.agent.calls.answers.append(introduce(laptop, desktop))
    assert invitations.requested(request) == (202, "")
    assert not laptop.agent.calls.made
    laptop.clock.advance(0)
    assert invitations.requested(request) == (202, "")
    laptop.clock.advance(0)
    assert len(laptop.agent.calls.made) == 1
    assert laptop.exchange.work[0].sync_type == "one-way-from-server"


@pytest.mark.parametrize(
    ("partner", "collection", "status"), [("alice/desktop", "music", 404), ("alice/laptop", "photos", 400), ("bob/phone", "photos", 403)]
)
def test_refused_requests(partner, collection, status, make_peer):
    peer = make_peer("laptop", devices=("desktop",))
    assert Invitations(peer.host, peer.caller).requested(SyncRequest("7", partner, collection, "two-way"))[0] == status
