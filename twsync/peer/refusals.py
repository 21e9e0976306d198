"""SIP's answers and a session's errors: which code says what, and the sentence that goes with it.

The sentence for people travels in a Warning header with code 399 (RFC 3261 section 20.43), the code for programs in an Error-Info header
(section 20.18) as ``<urn:twsync:refusal:CODE>``; where one is missing, the SIP code's own meaning is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from twsync.sip.message import Response, escape_reason
from twsync.transport.siptls import Lost

#: Characters of a sentence taken from another host.
MAX_SENTENCE = 400

_WARNING = re.compile(r'\s*(?P<code>[0-9]{3})\s+(?P<agent>\S+)\s+"(?P<text>(?:[^"\\]|\\.)*)"')

_ERROR_INFO = re.compile(r"\s*<urn:twsync:refusal:([a-z][a-z0-9-]{0,39})>")

_MEANINGS = {
    400: ("bad-request", "{device} or the server did not understand the request."),
    401: ("not-authenticated", "The server refuses this user's password; put the right one into the file `password`."),
    403: ("forbidden", "{device} does not allow this."),
    404: ("not-found", "{device} is not known, or has no such collection; `twsync devices` lists who is known."),
    407: ("not-authenticated", "The server refuses this user's password; put the right one into the file `password`."),
    408: ("no-answer", "{device} did not answer; try again."),
    480: ("device-offline", "{device} is offline."),
    486: ("busy", "{device} is busy with another session of this collection; try again."),
    487: ("cancelled", "The call was cancelled."),
    488: ("not-acceptable", "{device} cannot sync this type or by this protocol."),
    500: ("server-error", "{device} or the server failed; look into its log."),
    503: ("server-busy", "The server is overloaded; try again later."),
    603: ("declined", "{device} declined."),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than success."""

    status: int
    "SIP status code; 0 if no answer came."
    code: str
    "For programs."
    message: str
    "One sentence for people."
    stored: bool = False
    "Whether the server keeps the request until the device is online."


def error_info(code: str) -> tuple[str, str]:
    """An Error-Info header with a code for programs."""
    return "Error-Info", f"<urn:twsync:refusal:{code}>"


def warning(text: str, agent: str = "twsync") -> tuple[str, str]:
    """A Warning header with a sentence for people."""
    quoted = escape_reason(text[:MAX_SENTENCE]).replace("\\", "\\\\").replace('"', '\\"')
    return "Warning", f'399 {agent} "{quoted}"'


def warning_text(response: Response) -> str:
    """The sentence of the response's first Warning with code 399; empty if there is none."""
    for value in response.headers.getlist("Warning"):
        found = _WARNING.match(value)
        if found is not None and found["code"] == "399":
            text = re.sub(r"\\(.)", r"\1", found["text"])
            return "".join(c for c in text if c.isprintable())[:MAX_SENTENCE]
    return ""


def understood(response: Response | Lost, device: str) -> Refusal:
    """What an answer other than success means to the caller of `device`."""
    if isinstance(response, Lost):
        if response is Lost.TIMEOUT:
            return Refusal(0, "no-answer", f"Neither the server nor {device} answered in time; try again.")
        return Refusal(0, "server-unreachable", "The connection to the server broke off; it is being opened again, try then.")
    text = warning_text(response)
    code, meaning = _MEANINGS.get(response.code, ("refused", f"{{device}} or the server answered {response.code}."))
    stored = response.code == 480 and text.lower().startswith("request stored")
    if stored:
        return Refusal(480, code, f"{device} is offline; the request is stored and carried out when it is online.", True)
    named = _ERROR_INFO.match(response.headers.get("Error-Info") or "")
    code = named[1] if named is not None else code
    return Refusal(response.code, code, _sentence(text) if text else meaning.format(device=device))


def _sentence(text: str) -> str:
    if "/" not in text.partition(" ")[0]:  # not the name of a device
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
