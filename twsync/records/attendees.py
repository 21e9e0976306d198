"""People of an event: ATTENDEE and ORGANIZER of iCalendar (RFC 5545 section 3.8.4) and of vCalendar 1.0 (its section "Attendee")."""

from __future__ import annotations

import re

from twsync.records.component import plain
from twsync.records.contentline import Parameter, Property
from twsync.records.values import legacy_escape
from twsync.records.vcard import legacy_line

_ANGLED = re.compile(r"\s*(.*?)\s*<([^<>]+)>\s*\Z", re.DOTALL)
_EXPECT = {"FYI": "NON-PARTICIPANT", "REQUEST": "OPT-PARTICIPANT", "REQUIRE": "REQ-PARTICIPANT", "IMMEDIATE": "REQ-PARTICIPANT"}
_PARTSTAT = {"NEEDS ACTION": "NEEDS-ACTION", "SENT": "NEEDS-ACTION", "CONFIRMED": "ACCEPTED"}
_ROLES = {"NON-PARTICIPANT": "FYI", "OPT-PARTICIPANT": "REQUEST", "REQ-PARTICIPANT": "REQUIRE"}


def attendee_from_legacy(prop: Property, text: str) -> Property:
    """``ATTENDEE;ROLE=ATTENDEE;STATUS=ACCEPTED;EXPECT=REQUIRE:John <john@example.org>`` as iCalendar has it.

    :param text: the value, decoded.
    """
    match = _ANGLED.match(text)
    name, address = (match[1].strip('"'), match[2].strip()) if match else ("", text.strip())
    if not match and "@" not in address:
        name, address = address, f"invalid:{address}" if ":" not in address else address
    uri = address if ":" in address else f"mailto:{address}"
    role = prop.first("ROLE")
    organizer = role in ("ORGANIZER", "OWNER") or prop.key == "ORGANIZER"
    params: dict[str, str] = {"CN": name} if name else {}
    if not organizer:
        status = prop.first("STATUS") or prop.first("PARTSTAT")
        expect = _EXPECT.get(prop.first("EXPECT")) or (role if role in _ROLES or role == "CHAIR" else "")
        params |= {"ROLE": expect} if expect else {}
        params |= {"PARTSTAT": _PARTSTAT.get(status, status)} if status else {}
        params |= {"RSVP": "TRUE" if prop.first("RSVP") in ("YES", "TRUE") else "FALSE"} if prop.first("RSVP") else {}
    made = plain("ORGANIZER" if organizer else "ATTENDEE", uri.replace("\n", ""), **params)
    rest = [param for param in prop.params if param.name.upper().startswith("X-")]
    return Property(made.name, made.value, (*made.params, *rest))


def attendee_to_legacy(prop: Property) -> Property:
    """The reverse."""
    scheme, _, rest = prop.value.partition(":")
    address = rest if scheme.lower() in ("mailto", "invalid") else prop.value
    names = prop.param("CN")
    text = f"{names[0]} <{address}>" if names and names[0] and scheme.lower() != "invalid" else address
    params = [Parameter("ROLE", ("ORGANIZER" if prop.key == "ORGANIZER" else "ATTENDEE",))]
    if status := prop.first("PARTSTAT"):
        params.append(Parameter("STATUS", (status.replace("-", " "),)))
    if expect := _ROLES.get(prop.first("ROLE")):
        params.append(Parameter("EXPECT", (expect,)))
    if answer := prop.first("RSVP"):
        params.append(Parameter("RSVP", ("YES" if answer == "TRUE" else "NO",)))
    return legacy_line("ATTENDEE", params, legacy_escape(text.replace("\n", " "), structured=False))
