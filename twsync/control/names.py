"""Which names users and devices may have, and what a stock user agent is called."""

from __future__ import annotations

import re

from twsync import limits
from twsync.errors import UserError
from twsync.sip.values import URI

#: Besides white space and control characters: what separates names in text for people, in URIs, headers and settings.
_SEPARATORS = frozenset('/\\@:;,<>"?')


def is_name(text: str) -> bool:
    """Whether `text` may name a user or a device: 1 to 64 bytes, printable, no white space, none of ``/ \\ @ : ; , < > ? "``."""
    if not text or text in (".", "..") or not text.isprintable():
        return False
    if len(text.encode("utf-8", "replace")) > limits.MAX_DEVICE_NAME:
        return False
    return not any(character.isspace() or character in _SEPARATORS for character in text)


def checked(text: str, what: str) -> str:
    """`text`, if it may name `what` ("user", "device").

    :raises UserError: it may not.
    """
    if not is_name(text):
        raise UserError(
            f"{text!r} cannot name a {what}: 1 to {limits.MAX_DEVICE_NAME} bytes, no spaces, none of / \\ @ : ; , < > ? and quotes.",
            "bad-name",
        )
    return text


def split_device(text: str) -> tuple[str, str]:
    """User and device of ``USER/DEVICE``.

    :raises UserError: it is not written so.
    """
    user, slash, device = text.partition("/")
    if not slash or not is_name(user) or not is_name(device):
        raise UserError(f"A device is written USER/DEVICE, such as alice/laptop, unlike {text!r}.", "bad-name")
    return user, device


def stock_device(contact: URI, instance: str | None) -> str:
    """The name of a user agent that names no device: its instance, else its contact's user and address.

    Always a name in the sense of `is_name`; two agents that get the same one are told apart by their bindings.
    """
    if instance is not None:
        text = instance.strip("<>").removeprefix("urn:").removeprefix("uuid:")
    else:
        text = "-".join(filter(None, [contact.user, contact.host.strip("[]"), str(contact.port or "")]))
    text = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")
    return text[: limits.MAX_DEVICE_NAME] or "agent"
