"""Records for the tests with SyncEvolution, and how folders of them are compared: by content, for the names of files differ."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterable
from pathlib import Path

CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nN:{name};;;;\r\nTEL;TYPE=CELL:{phone}\r\nEMAIL;TYPE=INTERNET:{mail}\r\nNOTE:{note}\r\n"
    "END:VCARD\r\n"
)

MEETING = """BEGIN:VCALENDAR
PRODID:-//stock//test//EN
VERSION:2.0
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:meeting-1
DTSTAMP:20260101T000000Z
SUMMARY:Weekly meeting
LOCATION:Room 7
DTSTART;TZID=Europe/Berlin:20260302T090000
DTEND;TZID=Europe/Berlin:20260302T100000
RRULE:FREQ=WEEKLY;COUNT=20;BYDAY=MO
EXDATE;TZID=Europe/Berlin:20260406T090000
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Soon
TRIGGER:-PT15M
END:VALARM
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")

TASK = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//stock//test//EN
BEGIN:VTODO
UID:task-1
DTSTAMP:20260101T000000Z
SUMMARY:Buy milk
DUE:20260401T120000Z
END:VTODO
END:VCALENDAR
""".replace("\n", "\r\n")


def card(number: int, **changes: str) -> str:
    """A contact."""
    values = {
        "name": f"Person {number}",
        "phone": f"+49170{number:07d}",
        "mail": f"person{number}@example.org",
        "note": f"note {number}",
        **changes,
    }
    return CARD.format(**values)


def people(numbers: Iterable[int]) -> list[str]:
    """What `values` gives for ``FN:`` of such contacts."""
    return sorted(f"Person {number}" for number in numbers)


def write(path: Path, text: str) -> None:
    """A record as a file, line ends as they are."""
    path.write_text(text, encoding="utf-8", newline="")


def fill(folder: Path, numbers: Iterable[int], suffix: str = "") -> None:
    """Contacts as files."""
    for number in numbers:
        write(folder / f"{number}{suffix}", card(number))


def photo(size: int, seed: int) -> str:
    """The line of a contact with a picture of `size` random bytes, folded."""
    encoded = base64.b64encode(random.Random(seed).randbytes(size)).decode()
    folded = "\r\n ".join(encoded[at : at + 72] for at in range(0, len(encoded), 72))
    return f"PHOTO;ENCODING=b;TYPE=JPEG:\r\n {folded}\r\n"


def unfolded(text: str) -> list[str]:
    """The content lines of a record."""
    return text.replace("\r\n", "\n").replace("\n ", "").split("\n")


def records(folder: Path) -> list[Path]:
    """The files of a folder that are records, of the host or of a client."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def values(folder: Path, start: str) -> list[str]:
    """What follows `start` in the lines of all records that begin with it, sorted."""
    lines = (line for path in records(folder) for line in unfolded(path.read_text(encoding="utf-8")))
    return sorted(line.removeprefix(start) for line in lines if line.startswith(start))


def of(folder: Path, line: str) -> Path:
    """The one file that has a line."""
    (found,) = (path for path in records(folder) if line in unfolded(path.read_text(encoding="utf-8")))
    return found


def edit(path: Path, old: str, new: str) -> None:
    """Change a part of a record."""
    text = path.read_bytes().decode()
    assert old in text, text
    path.write_bytes(text.replace(old, new).encode())
