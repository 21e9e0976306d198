"""What known devices cannot take, whatever they say of themselves (docs/protocol/syncml.md, "Known devices").

The figures are those with which other servers met these devices: Funambol's scripts for phones and Horde's notes.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from twsync.syncml.document import DevInf


class Bounds(msgspec.Struct, frozen=True):
    """What a message to a device may hold. None: what the device says, and our own limits, decide."""

    share: float = 1.0
    "Of the device's MaxMsgSize."
    message: int | None = None
    "Bytes of a message."
    changes: int | None = None
    "Changes in one message."
    error_texts: bool = True
    "Whether a Status from 400 on may have an Item that says why."


#: For a device that nothing is known of.
UNBOUNDED: Final = Bounds()

#: Manufacturer and model, both in any case and from their beginning, the first that fits: what is meant.
_KNOWN: Final[tuple[tuple[str, str, Bounds], ...]] = (
    # Overruns its own parser; breaks off at a Status 500 with a text (both: series 40, of which the models are numbers).
    ("nokia", r"3110", Bounds(0.7, 2500, error_texts=False)),
    ("nokia", r"\d", Bounds(0.7, 5000, error_texts=False)),
    ("nokia", r"", Bounds(0.7, error_texts=False)),
    # Dies of a message with more Deletes.
    ("siemens", r"s55", Bounds(message=3200, changes=95)),
    # Take less than they say.
    ("motorola", r"v3xx", Bounds(message=6000)),
    ("motorola", r"", Bounds(message=1850)),
)


def bounds(devinf: DevInf | None) -> Bounds:
    """What a message to a device may hold.

    >>> bounds(None) == UNBOUNDED
    True
    """
    if devinf is not None:
        maker, model = (devinf.manufacturer or "").strip().lower(), (devinf.model or "").strip().lower()
        for known, pattern, found in _KNOWN:
            if maker.startswith(known) and re.match(pattern, model.removeprefix(known).strip()):
                return found
    return UNBOUNDED
