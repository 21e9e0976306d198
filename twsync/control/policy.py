"""Who may sync with whom: a user reaches the own devices, others only by a grant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twsync.control.names import is_name
from twsync.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Grant:
    """`caller` may open sessions with devices of `callee`, on one collection or on all."""

    caller: str
    callee: str
    collection: str | None = None
    "None: any, and calls that name no collection."

    @classmethod
    def parse(cls, text: str) -> Grant:
        """Read ``alice -> bob/photos`` or ``alice -> bob``.

        :raises ConfigError: it is not written so.
        """
        caller, arrow, target = (part.strip() for part in text.partition("->"))
        callee, slash, collection = target.partition("/")
        if not arrow or not is_name(caller) or not is_name(callee) or (slash and not is_name(collection)):
            raise ConfigError(f'[policy] across_users holds grants such as "alice -> bob/photos" or "alice -> bob", unlike {text!r}.')
        return cls(caller, callee, collection if slash else None)

    def __str__(self) -> str:
        return f"{self.caller} -> {self.callee}" + ("" if self.collection is None else f"/{self.collection}")


class Policy:
    """The grants of one server.

    :param grants: in any order.
    """

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self._grants: dict[tuple[str, str], set[str | None]] = {}
        for grant in grants:
            self._grants.setdefault((grant.caller, grant.callee), set()).add(grant.collection)

    def allows(self, caller: str, callee: str, collection: str | None) -> bool:
        """Whether the user `caller` may open a session on `collection` with a device of the user `callee`.

        :param collection: None for a call that names none: that needs a grant for everything.
        """
        if caller == callee:
            return True
        granted = self._grants.get((caller, callee), set())
        return None in granted or (collection is not None and collection in granted)

    def knows(self, caller: str, callee: str) -> bool:
        """Whether `caller` may learn that `callee` exists, and see the devices."""
        return caller == callee or (caller, callee) in self._grants

    def visible(self, user: str) -> list[str]:
        """The users whose devices `user` may see, the own name first."""
        return [user, *sorted(callee for caller, callee in self._grants if caller == user and callee != user)]

    def watchers(self, user: str) -> list[str]:
        """The users who may see the devices of `user`."""
        return [user, *sorted(caller for caller, callee in self._grants if callee == user and caller != user)]
