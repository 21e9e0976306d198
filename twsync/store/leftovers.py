"""What lies in staging and nobody works on: left by an earlier session, or given back by this one."""

from __future__ import annotations

import os
from collections.abc import Iterable

from blake3 import blake3

_PART = b".part"
_ORIGIN_BYTES = 8


class Leftovers:
    """The names of the left files of a staging folder, by what they begin with.

    Its threads may share it: what is gone meanwhile is no error.

    :param folder: a descriptor of the folder.
    """

    def __init__(self, folder: int, names: Iterable[bytes]) -> None:
        self._folder = folder
        self._names: dict[bytes, list[bytes]] = {}
        for name in names:
            self.add(name)

    def __bool__(self) -> bool:
        return bool(self._names)

    def add(self, name: bytes) -> None:
        """Nobody works on this file any more."""
        self._names.setdefault(_stem(name), []).append(name)

    def take(self, name: bytes) -> None:
        """It is worked on, or gone."""
        names = self._names.get(_stem(name), [])
        if name in names:
            names.remove(name)

    def complete(self, content: bytes) -> list[bytes]:
        """Those that are said to be this content."""
        return [name for name in self._of(content) if not name.endswith(_PART)]

    def parts(self, content: bytes) -> list[tuple[bytes, int]]:
        """Partly received files of this content, with their sizes."""
        return [(name, found.st_size) for name in self._of(content) if name.endswith(_PART) and (found := self._stat(name)) is not None]

    def largest(self, content: bytes) -> tuple[bytes, int] | None:
        """The largest part that is not empty."""
        found = max(self.parts(content), key=lambda part: part[1], default=None)
        return found if found is not None and found[1] else None

    def holds(self, content: bytes, size: int) -> bool:
        """Whether there is a complete file of this size."""
        return any((found := self._stat(name)) is not None and found.st_size == size for name in self.complete(content))

    def of(self, origin: bytes) -> list[bytes]:
        """All that came from one device."""
        return [name for name in self._all() if origin in name]

    def others(self, contents: Iterable[bytes]) -> list[tuple[bytes, int]]:
        """All but these contents, with the bytes of the disk that they take."""
        stems = {content.hex().encode() for content in contents}
        return [
            (name, min(found.st_size, found.st_blocks * 512))
            for name in self._all()
            if _stem(name) not in stems and (found := self._stat(name)) is not None
        ]

    def _all(self) -> list[bytes]:
        return [name for names in list(self._names.values()) for name in list(names)]

    def _of(self, content: bytes) -> list[bytes]:
        return list(self._names.get(content.hex().encode(), ()))

    def _stat(self, name: bytes) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None


def origin(device: str) -> bytes:
    """What stands in the names of files that came from a device."""
    return b".%b" % blake3(device.encode()).hexdigest(_ORIGIN_BYTES).encode()


def _stem(name: bytes) -> bytes:
    return name.partition(b".")[0]
