"""Who calls whom, whether they may, and where the callee is."""

from __future__ import annotations

from dataclasses import dataclass

from twsync.control.dialogs import Party
from twsync.control.directory import Directory
from twsync.control.location import Binding, Location
from twsync.control.offers import Offer, read_offer
from twsync.control.pending import Pending
from twsync.control.policy import Policy
from twsync.control.refusal import Refusal
from twsync.control.routing import Routes
from twsync.sip.message import Request
from twsync.transport.siptls import Flow

#: What a caller is told, and who can change it.
NOT_ALLOWED = "Not allowed by policy: the server's administrator can allow it by a grant in across_users"
BLOCKED = "Device blocked: the server's administrator can unblock it"
REPLACED = "This device is signed in over another connection now: if its folder was copied to another machine, make a new device there"


@dataclass(frozen=True, slots=True)
class Call:
    """A request out of any dialog that is being passed on."""

    request: Request
    flow: Flow
    caller: Party
    user: str
    "Of the callee."
    device: str | None
    "Of the callee; None for all of the user's."
    offer: Offer | None

    @property
    def callee(self) -> str:
        """``bob/desktop``, or just the user."""
        return self.user if self.device is None else f"{self.user}/{self.device}"


class Calling:
    """Reads requests out of any dialog, and holds them against the policy."""

    def __init__(self, routes: Routes, policy: Policy, directory: Directory, location: Location, pending: Pending) -> None:
        self._routes = routes
        self._policy = policy
        self._directory = directory
        self._location = location
        self._pending = pending

    def call(self, request: Request, flow: Flow, user: str) -> Call:
        """What `user` asks for by a request that came by `flow`, checked.

        :raises Refusal: it is malformed, not allowed, or the callee is unknown.
        """
        domain, also = self._routes.domain, self._routes.aliases(flow)
        if request.uri.scheme not in ("sip", "sips"):
            raise Refusal(416)
        if domain.user(request.from_address.uri, also) != user:
            raise Refusal(403, "From is another user")
        callee = domain.user(request.uri, also)
        if callee is None:
            raise Refusal(404)
        caller = self._caller(user, flow)
        for contact in request.contact if request.method == "INVITE" else []:
            # Callees take the caller's device from the Contact's GRUU.
            named = domain.device(contact.uri, also)
            if named is not None and not caller.device:
                raise Refusal(403, REPLACED)
            if named is not None and (named != caller.device or domain.user(contact.uri, also) != user):
                raise Refusal(403, "Contact is another device")
        offer = read_offer(request)
        if offer is not None and offer.partner and offer.partner != caller.full_name:
            raise Refusal(403, "A device can ask for sessions with itself only")
        call = Call(request, flow, caller, callee, domain.device(request.uri, also), offer)
        self._check_policy(call)
        return call

    def _caller(self, user: str, flow: Flow) -> Party:
        device = next((binding.device for binding in self._location.on_flow(flow) if binding.user == user), "")
        return Party(user, device, flow)

    def _check_policy(self, call: Call) -> None:
        """Whether the caller may call, and whether the callee is known; in the order that tells strangers nothing."""
        caller, collection = call.caller, None if call.offer is None else call.offer.collection
        asked = collection is not None and self._pending.permits(caller.full_name, call.callee, collection)
        if not asked and not self._policy.knows(caller.user, call.user):
            raise Refusal(403, NOT_ALLOWED)
        if not self._directory.has_user(call.user):
            raise Refusal(404)
        if call.device is not None:
            known = self._directory.device(call.user, call.device)
            if known is None and not self._location.of_device(call.user, call.device):
                raise Refusal(404)
            if known is not None and known.blocked:
                raise Refusal(403, BLOCKED)
        if not asked and not self._policy.allows(caller.user, call.user, collection):
            raise Refusal(403, NOT_ALLOWED)

    def bindings(self, call: Call) -> list[Binding]:
        """Where to; one flow of each device is enough, and a call does not go back to where it came from."""
        places = self._location
        found = places.of_user(call.user) if call.device is None else places.of_device(call.user, call.device)
        others = [binding for binding in reversed(found) if binding.flow is not call.flow]
        return list({(binding.device, binding.instance or binding.key): binding for binding in others}.values())
