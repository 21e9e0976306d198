"""``twsync ctl user``: who may sign in."""

from __future__ import annotations

import os
import sys
import time

import click

from twsync.cli.ctl_server import config_option, opened, server_settings
from twsync.cli.options import json_option, print_json
from twsync.cli.secret import read_password
from twsync.cli.table import columns
from twsync.control.names import checked
from twsync.control.registrations import rfc3339
from twsync.control.settings import Settings
from twsync.errors import UserError
from twsync.sip.digest import Algorithm, ha1
from twsync.store.control_values import User


@click.group()
def user() -> None:
    """Add, list and remove users, and set passwords.

    \b
    Example:
      twsync ctl user add alice --admin
    """


def _secrets(settings: Settings, name: str) -> tuple[str, str | None]:
    """HA1 values of a new password, asked for."""
    password = _new_password(name)
    md5 = ha1(name, settings.realm, password, Algorithm.MD5) if settings.registration.md5 else None
    return ha1(name, settings.realm, password, Algorithm.SHA256), md5


def _new_password(name: str) -> str:
    if "TWSYNC_PASSWORD" in os.environ or not sys.stdin.isatty():
        return read_password(f"Password of {name}")
    password: str = click.prompt(f"New password of {name}", hide_input=True, confirmation_prompt="Once more", err=True)
    if not password.isprintable():
        raise UserError("The password has control characters; choose another one.", "bad-password")
    return password


@user.command("add")
@click.argument("name", metavar="NAME")
@click.option("--admin", is_flag=True, help="May sign in to the web pages.")
@config_option
def user_add(name: str, admin: bool) -> None:
    """Add a user.

    The password is asked for on a terminal, else taken from $TWSYNC_PASSWORD or the first line of stdin.

    \b
    Example:
      twsync ctl user add alice --config /etc/twsync/syncctl.toml
    """
    checked(name, "user")
    with opened() as (_, transaction):  # before a password is asked for in vain
        if any(known.name == name for known in transaction.users()):
            raise UserError(f"There already is a user {name}; change the password with 'twsync ctl user passwd {name}'.", "exists")
    sha256, md5 = _secrets(server_settings(), name)
    with opened() as (_, transaction):
        transaction.add_user(User(name, sha256, md5, admin, time.time()))


@user.command("list")
@json_option
@config_option
def user_list(as_json: bool) -> None:
    """List the users.

    \b
    Example:
      twsync ctl user list --json
    """
    with opened() as (_, transaction):
        users, devices = transaction.users(), transaction.devices()
    counts = {known.name: sum(1 for device in devices if device.user == known.name) for known in users}
    if as_json:
        print_json([{"name": u.name, "admin": u.admin, "created": rfc3339(u.created), "devices": counts[u.name]} for u in users])
        return
    rows = [(u.name, "admin" if u.admin else "", rfc3339(u.created), str(counts[u.name])) for u in users]
    none = "There are no users; add one with 'twsync ctl user add NAME'."
    click.echo(columns(("USER", "", "CREATED", "DEVICES"), rows) if rows else none)


@user.command("remove")
@click.argument("name", metavar="NAME")
@config_option
def user_remove(name: str) -> None:
    """Remove a user with all devices; those that are online are signed out.

    \b
    Example:
      twsync ctl user remove alice
    """
    with opened() as (_, transaction):
        transaction.remove_user(checked(name, "user"))


@user.command("passwd")
@click.argument("name", metavar="NAME")
@click.option("--admin/--no-admin", default=None, help="Also say whether the user may sign in to the web pages.")
@config_option
def user_passwd(name: str, admin: bool | None) -> None:
    """Set a user's password; devices that are online have to sign in again.

    \b
    Example:
      echo "$NEW" | twsync ctl user passwd alice
    """
    checked(name, "user")
    with opened() as (_, transaction):
        transaction.user(name)
    sha256, md5 = _secrets(server_settings(), name)
    with opened() as (_, transaction):
        transaction.change_password(name, sha256, md5)
        if admin is not None:
            transaction.set_admin(name, admin)
