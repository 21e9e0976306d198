"""The root of a collection and its marker: a folder that is not the one it was must never look like one that was emptied."""

from __future__ import annotations

import os

from twsync.errors import StoreError
from twsync.store.diskerrors import disk_errors, show, unusable

#: Folder inside a collection that is twsync's own: marker, staging, trash.
OWN = b".twsync"

#: How folders are opened on the way: as a place to go on from, never through a link. Needs no permission to list.
WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_root(path: bytes) -> int:
    """A descriptor (O_PATH) of the root; the last component of its path must not be a link.

    :raises StoreError: `root-missing`, `permission-denied`, `disk-error`.
    """
    try:
        return os.open(path, WALK)
    except FileNotFoundError as error:
        raise StoreError(
            f"The folder {show(path)} is missing: bring it back (is its disk mounted?), or remove the collection.", "root-missing"
        ) from error
    except NotADirectoryError as error:
        what = "a symbolic link: give the folder it leads to" if os.path.islink(path) else "not a folder: bring the folder back"  # noqa: PTH114
        raise StoreError(f"{show(path)} is {what}, or remove the collection.", "root-missing") from error
    except OSError as error:
        raise unusable(error, path) from error


def open_marker(root: int, path: bytes, known: bool) -> int:
    """A descriptor (O_PATH) of twsync's own folder in a root.

    :param known: the journal holds items of the collection; then a missing one is refused, else it is made.
    :raises StoreError: `root-marker-missing`, disk errors.
    """
    try:
        return os.open(OWN, WALK, dir_fd=root)
    except FileNotFoundError:
        if known:
            raise StoreError(
                f"{show(path)} has no {show(OWN)} folder, but was synchronised before: is its disk mounted? "
                "If it is the right folder, remove the collection and add it again; nothing is deleted then.",
                "root-marker-missing",
            ) from None
    except NotADirectoryError as error:
        raise StoreError(f"{show(path)}/{show(OWN)} is not a folder: move it out of the way.", "root-marker-missing") from error
    except OSError as error:
        raise unusable(error, b"%b/%b" % (path, OWN)) from error
    with disk_errors(path):
        os.mkdir(OWN, 0o700, dir_fd=root)
        return os.open(OWN, WALK, dir_fd=root)
