"""The questions and changes that one transaction of the control database can make: users, devices and their bindings."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from twsync.errors import UserError
from twsync.store import control_schema as schema
from twsync.store.control_history import History
from twsync.store.control_values import BindingRow, Device, User


class Transaction(History):
    """What can be asked and changed inside one transaction of `ControlDatabase`."""

    # --- users ---------------------------------------------------------------------------------------------------------------------

    def users(self) -> list[User]:
        """All users by name."""
        rows = self._connection.execute(select(schema.users).order_by(schema.users.c.name))
        return [User(row.name, row.ha1_sha256, row.ha1_md5, row.admin, row.created) for row in rows]

    def user(self, name: str) -> User:
        """One user.

        :raises UserError: there is no such user.
        """
        row = self._connection.execute(select(schema.users).where(schema.users.c.name == name)).one_or_none()
        if row is None:
            raise no_user(name)
        return User(row.name, row.ha1_sha256, row.ha1_md5, row.admin, row.created)

    def add_user(self, user: User) -> None:
        """Add `user`.

        :raises UserError: the name is taken.
        """
        try:
            self._connection.execute(
                insert(schema.users).values(
                    name=user.name, ha1_sha256=user.ha1_sha256, ha1_md5=user.ha1_md5, admin=user.admin, created=user.created
                )
            )
        except IntegrityError as error:
            raise UserError(
                f"There already is a user {user.name}; change the password with 'twsync ctl user passwd {user.name}'.", "exists"
            ) from error
        self._changed()

    def change_password(self, name: str, ha1_sha256: str, ha1_md5: str | None) -> None:
        """Set the HA1 values of the user `name`.

        :raises UserError: there is no such user.
        """
        change = update(schema.users).where(schema.users.c.name == name).values(ha1_sha256=ha1_sha256, ha1_md5=ha1_md5)
        self._demand(self._connection.execute(change).rowcount, no_user(name))

    def set_admin(self, name: str, admin: bool) -> None:
        """Make the user `name` an administrator, or not.

        :raises UserError: there is no such user.
        """
        change = update(schema.users).where(schema.users.c.name == name).values(admin=admin)
        self._demand(self._connection.execute(change).rowcount, no_user(name))

    def remove_user(self, name: str) -> None:
        """Remove the user `name` with all devices and stored requests.

        :raises UserError: there is no such user.
        """
        self._connection.execute(delete(schema.requests).where(schema.requests.c.partner.startswith(f"{name}/", autoescape=True)))
        self._demand(self._connection.execute(delete(schema.users).where(schema.users.c.name == name)).rowcount, no_user(name))

    def _demand(self, count: int, error: UserError) -> None:
        if not count:
            raise error
        self._changed()

    # --- devices -------------------------------------------------------------------------------------------------------------------

    def devices(self, user: str | None = None) -> list[Device]:
        """All devices, or those of `user`, by name."""
        table = schema.devices
        query = select(table).order_by(table.c.user, table.c.name)
        if user is not None:
            query = query.where(table.c.user == user)
        return [_device(row) for row in self._connection.execute(query)]

    def device(self, user: str, name: str) -> Device:
        """One device.

        :raises UserError: there is no such device.
        """
        row = self._connection.execute(select(schema.devices).where(*_is(user, name))).one_or_none()
        if row is None:
            raise no_device(user, name)
        return _device(row)

    def save_device(self, device: Device) -> None:
        """Add or replace what registration knows of a device; whether it is blocked stays as it is."""
        values = {
            "fingerprint": device.fingerprint,
            "instance": device.instance,
            "last_seen": device.last_seen,
            "agent": device.agent,
            "observed": device.observed,
            "claimed": device.claimed,
        }
        table = schema.devices
        if self._connection.execute(update(table).where(*_is(device.user, device.name)).values(values)).rowcount:
            return
        # The user may have been removed a moment ago, unseen by the daemon: then there is nothing to add.
        if self._connection.execute(select(schema.users.c.name).where(schema.users.c.name == device.user)).first() is not None:
            new = {"user": device.user, "name": device.name, "blocked": device.blocked, "first_seen": device.first_seen}
            self._connection.execute(insert(table).values(values | new))

    def touch_device(self, device: Device) -> None:
        """Note when a device was seen last, if it is still known."""
        self._connection.execute(update(schema.devices).where(*_is(device.user, device.name)).values(last_seen=device.last_seen))

    def block_device(self, user: str, name: str, blocked: bool) -> None:
        """Block a device, or let it in again.

        :raises UserError: there is no such device.
        """
        change = update(schema.devices).where(*_is(user, name)).values(blocked=blocked)
        self._demand(self._connection.execute(change).rowcount, no_device(user, name))

    def rename_device(self, user: str, name: str, new: str) -> None:
        """Give a device another name; requests stored for it go with it.

        :raises UserError: there is no such device, or the new name is taken.
        """
        self.device(user, name)
        try:
            self._connection.execute(update(schema.devices).where(*_is(user, name)).values(name=new))
        except IntegrityError as error:
            raise UserError(f"There already is a device {user}/{new}; remove it first, or choose another name.", "exists") from error
        table = schema.requests
        self._connection.execute(update(table).where(table.c.user == user, table.c.device == name).values(device=new))
        self._connection.execute(update(table).where(table.c.partner == f"{user}/{name}").values(partner=f"{user}/{new}"))
        self._forget_bindings(user, name)
        self._changed()

    def remove_device(self, user: str, name: str) -> None:
        """Forget a device, its fingerprint and its stored requests.

        :raises UserError: there is no such device.
        """
        table = schema.requests
        mentions = or_((table.c.user == user) & (table.c.device == name), table.c.partner == f"{user}/{name}")
        self._connection.execute(delete(table).where(mentions))
        self._forget_bindings(user, name)
        self._demand(self._connection.execute(delete(schema.devices).where(*_is(user, name))).rowcount, no_device(user, name))

    # --- bindings ------------------------------------------------------------------------------------------------------------------

    def bindings(self, now: float) -> list[BindingRow]:
        """The contacts registered at the time `now`."""
        table = schema.bindings
        rows = self._connection.execute(select(table).where(table.c.expires > now).order_by(table.c.user, table.c.key))
        return [
            BindingRow(
                row.user, row.key, row.device, row.contact, row.instance, row.reg_id, row.call_id, int(row.cseq), row.flow, row.expires
            )
            for row in rows
        ]

    def save_binding(self, binding: BindingRow) -> None:
        """Add or replace one."""
        self.remove_binding(binding.user, binding.key)
        if self._connection.execute(select(schema.users.c.name).where(schema.users.c.name == binding.user)).first() is None:
            return  # removed a moment ago, unseen by the daemon
        self._connection.execute(
            insert(schema.bindings).values(
                user=binding.user,
                key=binding.key,
                device=binding.device,
                contact=binding.contact,
                instance=binding.instance,
                reg_id=binding.reg_id,
                call_id=binding.call_id,
                cseq=binding.cseq,
                flow=binding.flow,
                expires=binding.expires,
            )
        )

    def remove_binding(self, user: str, key: str) -> None:
        """Forget one; not having it is fine."""
        self._connection.execute(delete(schema.bindings).where(schema.bindings.c.user == user, schema.bindings.c.key == key))

    def clear_bindings(self) -> None:
        """Forget all: their connections were of an earlier life of the daemon."""
        self._connection.execute(delete(schema.bindings))

    def _forget_bindings(self, user: str, device: str) -> None:
        self._connection.execute(delete(schema.bindings).where(schema.bindings.c.user == user, schema.bindings.c.device == device))

    def count(self) -> dict[str, int]:
        """Rows per table, for health checks and tests."""
        tables = (schema.users, schema.devices, schema.bindings, schema.requests, schema.sessions, schema.trace)
        return {table.name: int(self._connection.execute(select(func.count()).select_from(table)).scalar_one()) for table in tables}


def no_user(name: str) -> UserError:
    """There is no such user."""
    return UserError(f"There is no user {name}; see 'twsync ctl user list'.", "no-user")


def no_device(user: str, name: str) -> UserError:
    """There is no such device."""
    return UserError(f"There is no device {user}/{name}; see 'twsync ctl device list'.", "no-device")


def _is(user: str, name: str) -> tuple[Any, Any]:
    return (schema.devices.c.user == user, schema.devices.c.name == name)


def _device(row: Row[Any]) -> Device:
    return Device(
        row.user,
        row.name,
        row.fingerprint,
        row.instance,
        row.blocked,
        row.first_seen,
        row.last_seen,
        row.agent,
        row.observed,
        row.claimed,
    )
