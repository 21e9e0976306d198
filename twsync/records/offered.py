"""What twsync says that it stores, for its own device information. It stores all else, too, but a CTCap cannot say so."""

from __future__ import annotations

from twsync.records.capabilities import ParameterCapability, PropertyCapability
from twsync.records.family import DIRECTORY, LEGACY, PLAIN, VCARD_3, VCARD_21, VMESSAGE, VNOTE, Family, Form

_TYPES = tuple("HOME WORK PREF VOICE FAX CELL PAGER MSG VIDEO CAR MODEM ISDN INTERNET DOM INTL POSTAL PARCEL".split())
_PICTURES = ("JPEG", "PNG", "GIF", "BMP")
_CARD = """
    N FN NICKNAME TEL EMAIL ADR LABEL ORG TITLE ROLE URL BDAY NOTE CATEGORIES PHOTO LOGO SOUND KEY GEO TZ REV UID CLASS MAILER SORT-STRING
    X-AIM X-ICQ X-JABBER X-MSN X-SKYPE X-YAHOO X-ANNIVERSARY X-ASSISTANT X-MANAGER X-SPOUSE IMPP
""".split()
_ENTRY = """
    UID SUMMARY DESCRIPTION LOCATION CATEGORIES CLASS PRIORITY STATUS SEQUENCE URL GEO ATTENDEE ATTACH RESOURCES RELATED-TO
    DTSTART RRULE RDATE EXDATE LAST-MODIFIED TRANSP
""".split()
_MESSAGE = ["X-IRMC-STATUS", "X-IRMC-BOX", "X-NOK-DT", "X-MESSAGE-TYPE", "TEL", "N", "FN", "DATE", "SUBJECT"]
_LEGACY_ENTRY = ["DCREATED", "AALARM", "DALARM", "MALARM"]
_MODERN_ENTRY = ["CREATED", "DTSTAMP", "DURATION", "EXRULE", "ORGANIZER", "RECURRENCE-ID", "COMMENT"]


def properties(family: Family, form: Form) -> tuple[PropertyCapability, ...]:
    """The properties of a CTCap of the own device information; none for plain text.

    :param form: one of `forms(family)`.
    """
    if form == PLAIN:
        return ()
    if form in (VCARD_3, VCARD_21, DIRECTORY):
        names, kinds = _CARD, ["VCARD"]
    elif form == VNOTE:
        names, kinds = ["BODY", "SUMMARY"], ["VNOTE"]
    elif form == VMESSAGE:
        names, kinds = _MESSAGE, ["VMSG", "VCARD", "VENV", "VBODY"]
    else:
        entry, own = ("VEVENT", ["DTEND"]) if family is Family.CALENDAR else ("VTODO", ["DUE", "COMPLETED", "PERCENT-COMPLETE"])
        names = [*_ENTRY, *own, *(_LEGACY_ENTRY if form in LEGACY else _MODERN_ENTRY)]
        kinds = ["VCALENDAR", entry, *([] if form in LEGACY else ["VALARM", "VTIMEZONE"])]
    edges = tuple(PropertyCapability(name, tuple(kinds)) for name in ("BEGIN", "END"))
    params = _params if "VCARD" in kinds[:1] else lambda name: ()
    return (*edges, PropertyCapability("VERSION", (form.version,)), *(PropertyCapability(name, (), params(name)) for name in names))


def _params(name: str) -> tuple[ParameterCapability, ...]:
    if name in ("TEL", "EMAIL", "ADR", "LABEL", "URL", "IMPP"):
        return (ParameterCapability("TYPE", _TYPES),)
    return (ParameterCapability("TYPE", _PICTURES),) if name in ("PHOTO", "LOGO") else ()
