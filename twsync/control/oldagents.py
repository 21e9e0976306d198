"""User agents that a SHA-256 challenge defeats.

RFC 8760 section 2.4 lets a server send one challenge per algorithm, the preferred one first; an agent takes the first that it knows.
Some agents in use were written before it and give up at sight of an algorithm that they do not know, whatever else is offered beside it:
libre before 2.2 (baresip 0 and 1, as in Debian 12 and Ubuntu 22.04) if any challenge is not MD5, SIPp before 3.7 if the first is not. They
get the MD5 challenge alone, where the administrator allows MD5 at all, and are known

* by their names, or by how SIPp writes its branches, Call-IDs and tags, as most of its scenarios carry no name;
* by what they do: an agent that was offered everything, and comes again with the same Call-ID and without an answer, has given up on that.
  The time after it is offered everything again, so that nobody who knows SHA-256 only is locked out.

Nobody is weakened by passing for one: the server accepts the same credentials from anybody, and a challenge goes only to the one who
asked for it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable

from twsync import limits
from twsync.sip.message import Request
from twsync.transport.siptls import Flow

#: Values of User-Agent.
_NAMES = re.compile(r"baresip v[01]\.|sipp\b", re.IGNORECASE)
#: twsync's own devices know everything, and come again with the same Call-ID whenever they connect anew.
_OWN = re.compile(r"twsync/")
#: SIPp sends no User-Agent by itself; its branch is "z9hG4bK-PID-CALL-MESSAGE" (with "-CALL" again in some versions), its Call-ID
#: "CALL-PID@ADDRESS", perhaps with a word and "///" before it, and its usual tag "PIDSIPpTag00CALL".
_SIPP_BRANCH = re.compile(r"z9hG4bK-\d+-\d+-\d+(-\d+)?")
_SIPP_CALL_ID = re.compile(r"(.*///)?\d+-\d+@[0-9A-Fa-f.:\[\]]+")
_SIPP_TAG = "SIPpTag"


def knows_only_md5(request: Request) -> bool:
    """Whether the sender of a request is known to be such an agent."""
    agent = request.headers.get("User-Agent") or ""
    if _NAMES.match(agent):
        return True
    if _OWN.match(agent):
        return False
    if _SIPP_TAG in request.from_tag or _SIPP_CALL_ID.fullmatch(request.call_id):
        return True
    origin = request.via[-1:]
    return any(_SIPP_BRANCH.fullmatch(via.parameters.get("branch") or "") for via in origin)


class OldAgents:
    """Finds out who can make something of which challenges."""

    def __init__(self) -> None:
        self._asked: OrderedDict[tuple[str, str], bool] = OrderedDict()
        "Who was challenged and has not answered; whether with everything."
        self._flows: set[str] = set()
        "Flows that answered when they were offered MD5 alone, and not before."

    def suited(self, challenges: Iterable[str], request: Request, flow: Flow) -> list[str]:
        """The challenges that the sender of `request` can make something of; all of them unless it is such an agent."""
        offered = list(challenges)
        simple = [challenge for challenge in offered if "algorithm=md5" in challenge.lower().replace('"', "")]
        if not simple or len(simple) == len(offered):
            return offered
        if flow.id in self._flows or knows_only_md5(request):
            return simple
        if any(request.headers.getlist(name) for name in ("Authorization", "Proxy-Authorization")) or _own(request):
            return offered
        key = flow.remote[0], request.call_id
        everything = not self._asked.pop(key, False)
        self._asked[key] = everything
        if len(self._asked) > limits.MAX_UNANSWERED_CHALLENGES:
            self._asked.popitem(last=False)
        return offered if everything else simple

    def answered(self, request: Request, flow: Flow) -> None:
        """The sender of `request` has proven to be a user."""
        if self._asked.pop((flow.remote[0], request.call_id), True) is False:
            self._flows.add(flow.id)

    def forget_flow(self, flow: Flow) -> None:
        """A flow has ended."""
        self._flows.discard(flow.id)


def _own(request: Request) -> bool:
    return _OWN.match(request.headers.get("User-Agent") or "") is not None
