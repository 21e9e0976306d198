"""A scan by the rows of the journal and one by its listing, whatever its age, find the same."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import pytest

from twsync.store import listing as kept
from twsync.store.listing import KeptListing
from twsync.store.scan import ScanResult

#: How often each has been compared: what a test does must not depend on those before it.
_SCANS: WeakKeyDictionary[KeptListing, int] = WeakKeyDictionary()


def both_ways(listing: KeptListing, look: Callable[[], ScanResult]) -> ScanResult:
    """What a scan finds. Every third time the listing is made anew after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "_OUTDATED", -1)
        assert listing.stale()
        by_rows = look()
        patch.setattr(kept, "_OUTDATED", 10**9)
        assert not listing.stale()
        by_listing = look()
        assert by_rows.outdated == 0
        same(by_listing, by_rows)
        scans = _SCANS[listing] = _SCANS.get(listing, 0) + 1
        if scans % 3 == 1:
            renew(listing)
    return by_listing


def same(one: ScanResult, other: ScanResult) -> None:
    """They found the same."""
    assert sorted(one.refreshed) == sorted(other.refreshed)
    for field in ("changes", "skipped", "found", "known"):
        assert getattr(one, field) == getattr(other, field)


def renew(listing: KeptListing) -> None:
    """Make the listing anew, however few rows have changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "_OUTDATED", -1)
        listing.renew()
