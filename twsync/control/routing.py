"""What a proxy does to the headers of what it passes on (RFC 3261 section 16)."""

from __future__ import annotations

import ipaddress

from twsync import limits
from twsync.control.refusal import Refusal
from twsync.sip import message as sip
from twsync.sip.framing import fits
from twsync.sip.grammar import split_list
from twsync.sip.message import Request, Response
from twsync.sip.uri import Domain
from twsync.sip.values import URI, Address, Parameters
from twsync.transport.siptls import Flow

#: What may be asked of this server by Require (as registrar) and Proxy-Require (as proxy).
REGISTRAR_OPTIONS = frozenset(("path", "outbound", "gruu"))
#: Requests that may open something here; anything may go inside a dialog.
ALLOWED = ("REGISTER", "INVITE", "ACK", "CANCEL", "BYE", "INFO", "MESSAGE", "OPTIONS", "SUBSCRIBE", "NOTIFY")

#: RFC 3325: who somebody is, in the words of a server. What users write there counts for nothing and is not passed on.
ASSERTED = "P-Asserted-Identity"


class Routes:
    """Names of this server in headers.

    :param domain: what is meant by whom.
    :param host: as it stands in URIs that others send requests to.
    """

    def __init__(self, domain: Domain, host: str) -> None:
        self.domain = domain
        self._host = host

    def aliases(self, flow: Flow) -> list[str]:
        """More names of the domain for who is connected by `flow`: the address it reached, ``localhost`` on this machine."""
        address = flow.local[0]
        try:
            local = ipaddress.ip_address(address.partition("%")[0]).is_loopback
        except ValueError:
            local = False
        return [address, "localhost"] if local else [address]

    def own(self, flow: Flow) -> URI:
        """This server's URI, as reached by `flow`."""
        port = flow.local[1]
        if flow.secure:
            return URI(scheme="sips", host=self._host, port=port)
        return URI(scheme="sip", host=self._host, port=port, parameters=Parameters(transport="tcp"))

    def record(self, request: Request, came: Flow, goes: Flow) -> None:
        """Put Record-Route on top (section 16.6, step 4); two where the transports differ, so that each side sees its own (RFC 5658)."""
        routes = [self._hop(request, goes), self._hop(request, came)]
        if str(routes[0]) == str(routes[1]):
            routes.pop()
        ours = [f"<{route};lr>" for route in routes]
        request.headers.setlist("Record-Route", [*ours, *request.headers.getlist("Record-Route")])

    def _hop(self, request: Request, flow: Flow) -> URI:
        """Where the other side of `flow` is to send what belongs to the dialog that `request` makes.

        A ``sips`` request asks for ``sips`` (section 16.6, step 4). The others get ``sip`` with the transport: many user agents, baresip 1
        among them, cannot send to a ``sips`` route.
        """
        if request.uri.scheme == "sips" or not flow.secure:
            return self.own(flow)
        return URI(scheme="sip", host=self._host, port=flow.local[1], parameters=Parameters(transport="tls"))

    def strip_own(self, request: Request, flow: Flow) -> None:
        """Take the Route values that brought the request here off the top (section 16.4)."""
        values = [value for header in request.headers.getlist("Route") for value in split_list(header)]
        also = self.aliases(flow)
        while values and self.domain.owns(Address.parse(values[0]).uri, also):
            values.pop(0)
        if values:
            request.headers.setlist("Route", values)
        else:
            request.headers.remove("Route")


def check_forwards(request: Request) -> None:
    """Refuse a request that has come too far (section 16.3, step 3).

    :raises Refusal: 483.
    """
    if request.max_forwards == 0:
        raise Refusal(483)


def check_extensions(request: Request, known: frozenset[str], header: str = "Require") -> None:
    """Refuse a request that demands what is not known (section 8.2.2.3, 16.3 step 5).

    :raises Refusal: 420 with Unsupported.
    """
    demanded = request.require if header == "Require" else request.proxy_require
    unknown = [option for option in demanded if option.lower() not in known]
    if unknown:
        raise Refusal(420, None, [("Unsupported", ", ".join(unknown))])


def check_size(request: Request) -> None:
    """Refuse what has grown too large for the next hop: twsync's devices close a connection that sends them more.

    :raises Refusal: 513.
    """
    if not fits(request):
        raise Refusal(513)


def onward(request: Request, target: Address | None, path: tuple[str, ...] = ()) -> Request:
    """The copy that is passed on: one hop less to go, without what was meant for this server.

    :param target: the contact it goes to; None inside a dialog, where the Request-URI already names it.
    :param path: routes to the contact through proxies that stand between (RFC 3327).
    """
    copy = sip.adopt(request)
    if target is not None:
        copy.uri = URI.parse(str(target.uri))
    copy.max_forwards = (limits.MAX_FORWARDS if request.max_forwards is None else request.max_forwards) - 1
    # Credentials are for this server alone; passed on they would only give others something to try passwords against.
    copy.headers.remove("Proxy-Authorization")
    copy.headers.remove("Proxy-Require")
    copy.headers.remove(ASSERTED)
    if path:
        copy.headers.setlist("Route", [*path, *copy.headers.getlist("Route")])
    return copy


def back(response: Response) -> Response:
    """The copy of a response that goes back: without this server's Via (section 16.7, step 3)."""
    copy = sip.adopt(response)
    sip.pop_via(copy)
    copy.headers.remove(ASSERTED)
    return copy
