"""Jobs in threads: how their errors come back."""

from __future__ import annotations

import pytest

from twsync.errors import StoreError
from twsync.peer.streams import _bare


class CountedError(StoreError):
    """Fails the test, and does not hang it, if it is looked at without end."""

    looks = 0

    def __setattr__(self, name, value):
        super().__setattr__("looks", self.looks + (name == "__traceback__"))
        assert self.looks < 10
        super().__setattr__(name, value)


def test_an_error_leaves_the_frames_of_all_that_led_to_it_behind():
    inner, outer = OSError("inner"), StoreError("outer")
    beside = ValueError("beside")

    def job():
        try:
            try:
                raise beside
            except ValueError:
                raise inner  # noqa: B904 - its context is looked at
        except OSError as error:
            raise outer from error

    with pytest.raises(StoreError):
        _bare(job)
    assert inner.__traceback__ is None and beside.__traceback__ is None


def test_errors_that_lead_to_each_other_are_looked_at_once():
    """A full disk brings that: the error of a statement is raised from the one that its transaction's end met, and that one from it."""
    first, second = CountedError("No room.", "disk-full"), CountedError("No room either.", "disk-full")
    first.__cause__, second.__context__ = second, first

    def job():
        raise first

    with pytest.raises(StoreError, match=r"^No room\.$"):
        _bare(job)
    assert second.__traceback__ is None
