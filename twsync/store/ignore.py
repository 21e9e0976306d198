"""Which keys a collection leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pathspec
from blake3 import blake3

from twsync.errors import ConfigError
from twsync.store.root import OWN

#: Names of files that are on their way into a folder on another file system (a mount point inside the collection).
TEMPORARY = b".twsync-new-"


class Ignore:
    """Patterns in gitignore syntax.

    Always left out, at any depth: twsync's own folder (a collection may lie inside another one) and twsync's temporary names.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """Compile the patterns.

        :raises ConfigError: one of them is no pattern.
        """
        lines = [line for line in patterns if line.strip()]
        try:
            self._spec = pathspec.GitIgnoreSpec.from_lines(lines) if lines else None
        except ValueError as error:
            raise ConfigError(f"An ignore pattern is not valid: {error}.") from error
        self.digest = blake3("\n".join(lines).encode("utf-8", "surrogateescape")).digest()
        "Hash of the patterns, for `CollectionJournal.set_patterns`."

    @property
    def trivial(self) -> bool:
        """Whether there are no patterns: only twsync's own names are left out."""
        return self._spec is None

    def matches(self, key: bytes, directory: bool = False) -> bool:
        """Whether the key, or a folder above it, is left out."""
        if OWN in key and any(part == OWN or part.startswith(TEMPORARY) for part in key.split(b"/")):
            return True
        if self._spec is None:
            return False
        return self._spec.match_file(os.fsdecode(key) + "/" if directory else os.fsdecode(key))
