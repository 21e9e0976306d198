"""Elements that hold just a text, a number or nothing: as real devices write them, and as we do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twsync import limits
from twsync.errors import FormatError
from twsync.wbxml import Element

_Value = TypeVar("_Value")


def text(element: Element) -> str:
    """The text as it stands: names of items are compared exactly. Octets that are no UTF-8 are taken as ISO-8859-1.

    :raises FormatError: longer than `limits.MAX_SYNCML_TEXT`.
    """
    content = element.text
    if isinstance(content, bytes):
        content = content.decode("latin-1")
    if len(content) > limits.MAX_SYNCML_TEXT:
        raise FormatError(f"a {element.name[:40]} of more than {limits.MAX_SYNCML_TEXT} characters")
    return content


def word(element: Element) -> str:
    """The text without blanks and NULs around it: numbers, codes, names of commands and types.

    :raises FormatError: as `text`.
    """
    return text(element).strip(" \t\r\n\0")


def number(element: Element) -> int | None:
    """A number with blanks or leading zeros; None for what is none (all that have numbers are advice, such as Size).

    :raises FormatError: as `text`.
    """
    digits = word(element)
    if not digits.isascii() or not digits.isdigit() or len(digits.lstrip("0")) > limits.MAX_SYNCML_DIGITS:
        return None
    return int(digits.lstrip("0") or "0")


def by_name(element: Element) -> dict[str, Element]:
    """The children by their names; of several of one name the last."""
    return {child.name: child for child in element.children}


def one(here: dict[str, Element], name: str, read: Callable[[Element], _Value]) -> _Value | None:
    """What a child that may be missing holds.

    :param here: the children, as `by_name` has them.
    :param read: reads it.
    """
    child = here.get(name)
    return None if child is None else read(child)


def first_word(element: Element, name: str) -> str:
    """The `word` of the first child of a name; empty if there is none.

    :raises FormatError: as `text`.
    """
    return next((word(child) for child in element.children if child.name == name), "")


def texts(element: Element, name: str) -> tuple[str, ...]:
    """The `text` of each child of a name.

    :raises FormatError: as `text`.
    """
    return tuple(text(child) for child in element.children if child.name == name)


def add(out: list[Element], name: str, value: str | int | None) -> None:
    """An element with a text, or nothing for None."""
    if value is not None:
        out.append(Element(name, text=str(value)))


def flags(**on: bool) -> list[Element]:
    """Empty elements of the names that are true."""
    return [Element(name) for name, stands in on.items() if stands]
