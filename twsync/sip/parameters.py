"""Parameters of headers and URIs: `sipmessage`'s, with quoted strings kept whole and names that know no case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import sipmessage

from twsync.errors import FormatError
from twsync.sip import grammar


class Parameters(sipmessage.Parameters):
    """Parameters of a header or URI, in order; names are found whatever their case. Values are without quotes and escapes.

    :param pairs: names and values; None for a parameter without a value.
    """

    def __init__(self, pairs: Mapping[str, str | None] | Iterable[tuple[str, str | None]] = (), /, **named: str | None) -> None:
        super().__init__()
        items = list(pairs.items()) if isinstance(pairs, Mapping) else list(pairs)
        self._items: dict[str, tuple[str, str | None]] = {}
        for name, value in [*items, *named.items()]:
            self._items[name.lower()] = (name, value)

    @classmethod
    def parse(cls, value: str) -> Parameters:
        """Read header parameters, from the first semicolon on.

        :raises FormatError: if they are malformed.
        """
        head, pairs = grammar.split_parameters(value)
        if head:
            raise FormatError("Parameters must begin with a semicolon.")
        return cls(pairs)

    def replace(self, **changes: str | None) -> Parameters:
        """A copy with some parameters set."""
        return self.set(changes)

    def set(self, changes: Mapping[str, str | None]) -> Parameters:
        """A copy with some parameters set; for names that are no Python names."""
        return Parameters([*self._items.values(), *changes.items()])

    def without(self, *names: str) -> Parameters:
        """A copy without some parameters."""
        gone = {name.lower() for name in names}
        return Parameters([pair for key, pair in self._items.items() if key not in gone])

    def __getitem__(self, key: str) -> str | None:
        return self._items[key.lower()][1]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._items

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return {key: value for key, (_, value) in self._items.items()} == {str(key).lower(): value for key, value in other.items()}

    def __hash__(self) -> int:
        return hash(frozenset((key, value) for key, (_, value) in self._items.items()))

    def __repr__(self) -> str:
        return f"Parameters({list(self._items.values())!r})"

    def __str__(self) -> str:
        return "".join(grammar.format_parameter(name, value) for name, value in self.items())
