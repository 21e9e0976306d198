"""Records as Hypothesis makes them: what people and programs write into them, and what nobody should."""

from __future__ import annotations

import datetime

from hypothesis import strategies as st

from twsync.records.values import escape

#: Text with all that escapes, folds and encodings are about. No lone surrogates, no control characters but the line feed.
WORDS = (
    st.text(st.sampled_from("abcXYZ019 ,;:\\\"'=^äöü€\U0001f600\n-+()[]{}<>&%/_.@"), min_size=1, max_size=120).map(str.strip).filter(bool)
)
LINE = WORDS.map(lambda text: " ".join(text.split())).filter(bool)
PLAIN = st.text(st.sampled_from("abcdefXYZ0123456789 äß"), min_size=1, max_size=20).map(str.strip).filter(bool)
TYPES = st.lists(st.sampled_from(["HOME", "WORK", "CELL", "FAX", "PAGER", "PREF"]), unique=True, max_size=3)


def typed(name: str, types: list[str], value: str) -> str:
    return f"{name};TYPE={','.join(types)}:{value}" if types else f"{name}:{value}"


@st.composite
def card_lines(draw: st.DrawFn) -> list[str]:
    """The property lines of a contact, without those around them."""
    family, given, full = draw(LINE), draw(LINE), draw(LINE)
    lines = [f"N:{escape(family)};{escape(given)};;;", f"FN:{escape(full)}"]
    numbers = draw(st.lists(st.from_regex(r"\+?[0-9]{3,12}", fullmatch=True), unique=True, max_size=3))
    lines += [typed("TEL", draw(TYPES), number) for number in numbers]
    mails = draw(st.lists(st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.org", fullmatch=True), unique=True, max_size=3))
    lines += [typed("EMAIL", draw(TYPES), mail) for mail in mails]
    if draw(st.booleans()):
        lines.append("ADR;TYPE=HOME:" + ";".join(escape(draw(st.one_of(st.just(""), LINE))) for _ in range(6)) + ";" + escape(draw(LINE)))
    for name in ("TITLE", "ROLE"):
        if draw(st.booleans()):
            lines.append(f"{name}:{escape(draw(LINE))}")
    if draw(st.booleans()):
        lines.append(f"NOTE:{escape(draw(WORDS))}")
    if draw(st.booleans()):
        lines.append("CATEGORIES:" + ",".join(map(escape, draw(st.lists(LINE, min_size=1, max_size=3, unique=True)))))
    if draw(st.booleans()):
        lines.append("ORG:" + ";".join(map(escape, draw(st.lists(LINE, min_size=1, max_size=2)))))
    if draw(st.booleans()):
        lines.append("BDAY:1970-02-03")
    if draw(st.booleans()):
        lines.append("PHOTO;ENCODING=b;TYPE=JPEG:" + draw(st.sampled_from(["/9j/4AAQSkZJRg==", "AAAA" * 60])))
    if draw(st.booleans()):
        lines.append(f"X-COLOR:{draw(PLAIN)}")
    return lines


def card(lines: list[str], uid: str = "u-1") -> str:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", *lines, "END:VCARD", ""])


CARDS = card_lines().map(card)
TIMES = st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2037, 1, 1)).map(lambda when: when.replace(microsecond=0))
RULES = st.sampled_from(
    [
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=2;COUNT=5",
        "FREQ=WEEKLY;BYDAY=MO,WE",
        "FREQ=WEEKLY;INTERVAL=2",
        "FREQ=MONTHLY;BYDAY=2TU",
        "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
        "FREQ=MONTHLY;BYMONTHDAY=15,-1",
        "FREQ=MONTHLY",
        "FREQ=YEARLY",
        "FREQ=YEARLY;BYYEARDAY=100;COUNT=4",
    ]
)


@st.composite
def event_lines(draw: st.DrawFn) -> list[str]:
    """The lines of an event in Berlin, in UTC or floating, without those around them."""
    start = draw(TIMES)
    kind = draw(st.sampled_from(["zone", "utc", "day"]))
    span = datetime.timedelta(minutes=draw(st.integers(1, 600)))
    if start.hour == 0 and kind != "day":
        start += datetime.timedelta(hours=1)
    repeats = draw(st.booleans())
    form = {"zone": ";TZID=Europe/Berlin:%Y%m%dT%H%M%S", "utc": ":%Y%m%dT%H%M%SZ", "day": ";VALUE=DATE:%Y%m%d"}[kind]
    if kind == "utc" and repeats:
        # A device that repeats an event in UTC means its own clock: see docs/protocol/records.md.
        form = ";TZID=Europe/Berlin:%Y%m%dT%H%M%S"
    end = start + (datetime.timedelta(days=draw(st.integers(1, 5))) if kind == "day" else span)
    lines = [f"DTSTART{start.strftime(form)}", f"DTEND{end.strftime(form)}", f"SUMMARY:{escape(draw(LINE))}"]
    if repeats:
        lines.append(f"RRULE:{draw(RULES)}")
        if kind != "day" and draw(st.booleans()):
            lines.append(f"EXDATE{(start + datetime.timedelta(days=1)).strftime(form)}")
    for name in ("LOCATION", "DESCRIPTION"):
        if draw(st.booleans()):
            lines.append(f"{name}:{escape(draw(WORDS))}")
    if draw(st.booleans()):
        lines.append("CATEGORIES:" + ",".join(map(escape, draw(st.lists(LINE, min_size=1, max_size=3, unique=True)))))
    if draw(st.booleans()):
        lines.append("ATTENDEE;CN=Ann Bee;PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT;RSVP=TRUE:mailto:ann@example.org")
    if draw(st.booleans()):
        lines += ["TRANSP:TRANSPARENT", "PRIORITY:3", "CLASS:PRIVATE"]
    if draw(st.booleans()):
        lines += ["BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT15M", f"DESCRIPTION:{escape(draw(LINE))}", "END:VALARM"]
    return lines


def event(lines: list[str], uid: str = "e-1", kind: str = "VEVENT") -> str:
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", f"BEGIN:{kind}", f"UID:{uid}", *lines, f"END:{kind}", "END:VCALENDAR", ""]
    )


EVENTS = event_lines().map(event)
NOTES = st.lists(st.one_of(st.just(""), LINE), max_size=8).map("\n".join)
