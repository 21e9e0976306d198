"""The dialogs that run through this proxy: where a request inside one goes, and when one is given up.

The table, not the Route header, says where a request goes: over the flow that the other side's device has now, even if it connected
again in the meantime.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twsync import limits
from twsync.control.location import Location
from twsync.transport.siptls import Flow

Key = tuple[str, str, str]


@dataclass(slots=True)
class Party:
    """One side of a dialog."""

    user: str
    device: str
    "Empty if the side is not registered."
    flow: Flow
    "The one it was on when the dialog began, or came back by."

    @property
    def full_name(self) -> str:
        """``alice/laptop``, or just the user."""
        return f"{self.user}/{self.device}" if self.device else self.user


@dataclass(slots=True, eq=False)
class Dialog:
    """A dialog between a caller and a callee (RFC 3261 section 12)."""

    call_id: str
    caller_tag: str
    callee_tag: str
    caller: Party
    callee: Party
    confirmed: bool
    heard: float
    "When the last message went through, seconds of the reactor's clock."
    dead_since: float | None = None
    ending: bool = False
    "Whether a BYE went through."

    @property
    def key(self) -> Key:
        """Call-ID and both tags."""
        return self.call_id, self.caller_tag, self.callee_tag


@dataclass(slots=True)
class DialogTable:
    """All dialogs.

    :param location: knows a device's flow of today.
    """

    location: Location
    _dialogs: dict[Key, Dialog] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._dialogs)

    def establish(self, dialog: Dialog) -> Dialog:
        """Add a dialog, or confirm the early one with the same key; what stands then."""
        known = self._dialogs.setdefault(dialog.key, dialog)
        known.confirmed = known.confirmed or dialog.confirmed
        known.heard = dialog.heard
        return known

    def remove(self, dialog: Dialog) -> None:
        """Forget one."""
        self._dialogs.pop(dialog.key, None)

    def find(self, call_id: str, from_tag: str, to_tag: str) -> tuple[Dialog, bool] | None:
        """The dialog of a request, and whether the request goes from caller to callee."""
        dialog = self._dialogs.get((call_id, from_tag, to_tag))
        if dialog is not None:
            return dialog, True
        dialog = self._dialogs.get((call_id, to_tag, from_tag))
        return None if dialog is None else (dialog, False)

    def sends(self, party: Party, flow: Flow, proven: frozenset[str]) -> bool:
        """Whether a request that came by `flow` is this party's.

        :param proven: the users that the flow has proven to be.
        """
        if flow is party.flow:
            return True
        if party.device and any(binding.flow is flow for binding in self.location.of_device(party.user, party.device)):
            return True
        # A stock agent may call by one connection and go on by another; a twsync device is held to its own.
        bindings = self.location.of_device(party.user, party.device) if party.device else []
        return party.user in proven and not any(binding.fingerprint for binding in bindings)

    def flow_of(self, party: Party) -> Flow | None:
        """Where the party can be reached now; None if nowhere."""
        if party.device:
            for binding in self.location.of_device(party.user, party.device):
                return binding.flow
        return party.flow if party.flow.open else None

    def recycle(self, now: float) -> list[Dialog]:
        """Forget the dialogs whose sides are both gone, and those that have been silent for long; hand them out."""
        gone = []
        for dialog in list(self._dialogs.values()):
            if self.flow_of(dialog.caller) is None and self.flow_of(dialog.callee) is None:
                dialog.dead_since = now if dialog.dead_since is None else dialog.dead_since
            else:
                dialog.dead_since = None
            dead = dialog.dead_since is not None and now - dialog.dead_since >= limits.DIALOG_DEAD_AFTER
            if dead or now - dialog.heard >= limits.DIALOG_SILENT_AFTER:
                self.remove(dialog)
                gone.append(dialog)
        return gone
