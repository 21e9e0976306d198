"""Where a password comes from: a terminal, the environment, or the first line of stdin."""

from __future__ import annotations

import os
import sys

import click

from twsync.errors import UserError


def read_password(prompt: str) -> str:
    """$TWSYNC_PASSWORD if it is set; else asked for on a terminal, without echo; else the first line of stdin.

    :raises UserError: there is none, or it has control characters.
    """
    password = os.environ.get("TWSYNC_PASSWORD")
    if password is None:
        password = click.prompt(prompt, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        what = "There is no password; give it on a terminal, in $TWSYNC_PASSWORD or as the first line of stdin."
        raise UserError(what, code="no-password")
    if not all(c.isprintable() for c in password):
        raise UserError("The password has control characters; choose another one with `twsync ctl user passwd`.", code="bad-password")
    return str(password)
