"""What both daemons do before they start."""

from __future__ import annotations

from pathlib import Path

from twsync.daemon.startup import own_pid_file


def test_two_daemons_can_be_started_in_one_folder():
    """In the foreground no pid file is kept, in the background each keeps its own."""
    foreground = {"pidfile": "twistd.pid", "nodaemon": True}
    own_pid_file(foreground, Path("/srv/twsync/syncctl.toml"))
    assert foreground["pidfile"] == ""
    background = {"pidfile": "twistd.pid", "nodaemon": False}
    own_pid_file(background, Path("/srv/twsync/syncctl.toml"))
    assert background["pidfile"] == "/srv/twsync/syncctl.pid"


def test_a_chosen_pid_file_stays():
    """``--pidfile`` is the user's word."""
    chosen = {"pidfile": "/run/mine.pid", "nodaemon": False}
    own_pid_file(chosen, Path("/srv/twsync/syncctl.toml"))
    assert chosen["pidfile"] == "/run/mine.pid"


def test_twist_has_no_pid_file():
    """`twist syncpeer` runs the same plugin with other options."""
    options: dict[str, object] = {}
    own_pid_file(options, Path("/srv/twsync/syncctl.toml"))
    assert options == {}
