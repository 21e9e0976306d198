"""The settings of one host: ``syncpeer.toml``.

The file is read strictly: an unknown name is refused, with the nearest known one as a suggestion, because a setting that is
silently ignored is worse than one that is missing. Paths in it are relative to the folder of the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from twsync import limits
from twsync.errors import ConfigError
from twsync.peer.address import ServerAddress, device_name, own_address, parse_server
from twsync.reconcile.model import Policy, RecordPolicy

#: Types whose items are files and travel by the delta protocol.
FILE_TYPES = ("files", "pictures", "music")
#: Types whose items are records and travel by SyncML.
RECORD_TYPES = ("contacts", "calendar", "tasks", "notes", "sms")
#: What a collection's name may look like: it stands in URIs, on command lines and in file names of traces.
COLLECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOG_LEVELS = ("debug", "info", "warn", "error", "critical")

_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.MAX_KEY)]


class _Device(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    server: str
    user: str | None = None
    server_fingerprint: str | None = None


class _Data(msgspec.Struct, forbid_unknown_fields=True):
    listen: _Text = "tcp:0"
    advertise: list[_Text] = []


class _Syncml(msgspec.Struct, forbid_unknown_fields=True):
    listen: str = ""


class _Api(msgspec.Struct, forbid_unknown_fields=True):
    socket: _Text = "state/api.sock"


class _Log(msgspec.Struct, forbid_unknown_fields=True):
    level: str = "info"
    json: bool = False


class _Collection(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    path: _Text
    type: str = "files"
    policy: str = ""
    live: bool = False
    ignore: list[_Text] = []
    devices: list[_Text] = []
    trash_days: int = 0


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    device: _Device
    data: _Data = msgspec.field(default_factory=_Data)
    syncml: _Syncml = msgspec.field(default_factory=_Syncml)
    api: _Api = msgspec.field(default_factory=_Api)
    log: _Log = msgspec.field(default_factory=_Log)
    collection: list[_Collection] = []


_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "device": _Device, "data": _Data, "syncml": _Syncml, "api": _Api, "log": _Log, "collection": _Collection,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """One ``[[collection]]``."""

    name: str
    path: Path
    "Absolute; not resolved, so that a symlink to the folder may be moved."
    type: str = "files"
    policy: Policy | RecordPolicy = Policy.KEEP_BOTH
    "A `RecordPolicy` if it holds records."
    ignore: tuple[str, ...] = ()
    "Patterns as in ``.gitignore``."
    devices: tuple[str, ...] = ()
    "Devices that may sync this collection, as `laptop` or `bob/laptop`; empty: every device that the server lets through."
    trash_days: int = 0
    "Days that the trash is kept; 0: until somebody empties it."

    @property
    def records(self) -> bool:
        """Whether it holds records."""
        return self.type in RECORD_TYPES

    def allows(self, partner: str, user: str) -> bool:
        """Whether `partner` (``user/device``) may sync this collection on a host of `user`."""
        return not self.devices or any(partner == (name if "/" in name else f"{user}/{name}") for name in self.devices)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one host, checked."""

    file: Path
    device: str
    user: str
    server: ServerAddress
    server_fingerprint: str | None
    "``sha256:HEX`` of the server's certificate; None: the platform's trust store and the host name decide."
    listen: str
    "Twisted endpoint string of the data port."
    advertise: tuple[str, ...]
    "Addresses (``ADDRESS`` or ``ADDRESS:PORT``) named first to partners, for hosts behind a port forwarding."
    socket: Path
    syncml: str = ""
    "Twisted endpoint string for stock SyncML clients; empty: none are served."
    log_level: str = "info"
    log_json: bool = False
    collections: tuple[CollectionSettings, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that holds everything of this host."""
        return self.file.parent

    @property
    def state(self) -> Path:
        """Where the journal, the lock and the local interface stand."""
        return self.folder / "state"

    @property
    def device_folder(self) -> Path:
        """Where the device's key and certificate stand."""
        return self.folder / "device"

    @property
    def password_file(self) -> Path:
        """Where the user's password at the server stands."""
        return self.folder / "password"

    @property
    def full_name(self) -> str:
        """This device as people write it: ``alice/laptop``."""
        return f"{self.user}/{self.device}"

    def full_device(self, name: str) -> str:
        """`desktop` as ``alice/desktop``; a full name as it is.

        :raises ConfigError: it cannot be a device's name.
        """
        user, slash, bare = name.rpartition("/")
        if slash and not user:
            raise ConfigError(f"A device is written laptop or bob/laptop, unlike {name!r}.")
        return f"{user or self.user}/{device_name(bare)}"

    def collection(self, name: str) -> CollectionSettings:
        """The collection of this name.

        :raises ConfigError: there is none.
        """
        for found in self.collections:
            if found.name == name:
                return found
        names = ", ".join(sorted(c.name for c in self.collections))
        hint = f"this host has {names}" if names else f"add it with: twsync collection add {name} PATH --type files"
        raise ConfigError(f"There is no collection {name!r} here; {hint}.", code="no-such-collection")

    def password(self) -> str:
        """The user's password.

        :raises ConfigError: it is missing or unreadable.
        """
        try:
            text = self.password_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            what = f"The password file {self.password_file} cannot be read ({_reason(error)}); write the password into it."
            raise ConfigError(what) from None
        password = text.splitlines()[0] if text else ""
        if not password:
            raise ConfigError(f"The password file {self.password_file} is empty; write the password into its first line.")
        return password


def load(path: Path) -> Settings:
    """Read and check the settings file `path`.

    :raises ConfigError: it is missing, not TOML, or says something that cannot hold.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        what = f"There is no settings file {path}; make one with `twsync init DIR`, or name it with --config or $TWSYNC_CONFIG."
        raise ConfigError(what, code="no-config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file {path} cannot be read ({_reason(error)}).") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Settings:
    """The settings that `text`, the contents of the file `path`, says.

    :raises ConfigError: as :func:`load`.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    _refuse_unknown(raw, path)
    try:
        document = msgspec.convert(raw, _Document)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_plain(str(error))}.") from None
    return _check(document, path)


def _check(document: _Document, path: Path) -> Settings:
    base = Path(path).absolute().parent
    try:
        server = parse_server(document.device.server, document.device.user)
        name = device_name(document.device.name)
        fingerprint = document.device.server_fingerprint or None
        if fingerprint is not None and not _FINGERPRINT.fullmatch(fingerprint):
            raise ConfigError("[device] server_fingerprint must be sha256: and 64 hexadecimal digits, as `twsync ctl init` prints it")
        if document.log.level not in LOG_LEVELS:
            raise ConfigError(f"[log] level must be one of {', '.join(LOG_LEVELS)}")
        for address in document.data.advertise:
            own_address(address, 1)
        collections = tuple(
            check_collection(c.name, c.path, c.type, c.policy, c.live, c.ignore, c.devices, base, c.trash_days) for c in document.collection
        )
        check_apart(collections)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message.rstrip('.')}.", code=error.code) from None
    return Settings(
        file=Path(path).absolute(), device=name, user=server.user, server=server, server_fingerprint=fingerprint,
        listen=document.data.listen, advertise=tuple(document.data.advertise), socket=base / document.api.socket,
        syncml=document.syncml.listen, log_level=document.log.level, log_json=document.log.json, collections=collections,
    )  # fmt: skip


def check_collection(
    name: str, path: str, kind: str, policy: str, live: bool, ignore: list[str], devices: list[str], base: Path, trash_days: int = 0
) -> CollectionSettings:
    """One collection's settings, checked; `path` is relative to `base`.

    :raises ConfigError: something in them cannot hold.
    """
    if not COLLECTION_NAME.fullmatch(name):
        raise ConfigError(f"A collection's name has 1 to 64 letters, digits, dots, dashes or underscores, unlike {name!r}")
    if kind not in (*FILE_TYPES, *RECORD_TYPES):
        raise ConfigError(f"There is no collection type {kind!r}; use one of {', '.join((*FILE_TYPES, *RECORD_TYPES))}")
    if live:
        what = f"Live watching (collection {name}) is not in this version; leave `live` out and run `twsync sync`"
        raise ConfigError(what, code="not-supported")
    if ignore and kind in RECORD_TYPES:
        raise ConfigError(f"Patterns to ignore are for files; a collection of {kind} (collection {name}) has none")
    policies: type[Policy | RecordPolicy] = RecordPolicy if kind in RECORD_TYPES else Policy
    # The first one is what holds if nothing is said.
    policy = policy or next(iter(policies))
    if policies is Policy and policy in set(RecordPolicy) - set(Policy):
        raise ConfigError(f"Files cannot be merged (collection {name}); use the policy {', '.join(policies)}")
    if policy not in set(policies):
        raise ConfigError(f"The policy of a collection of {kind} (collection {name}) is one of {', '.join(policies)}, not {policy!r}")
    for device in devices:
        user, slash, bare = device.rpartition("/")
        device_name(bare)
        if slash and not user:
            raise ConfigError(f"A device is written laptop or bob/laptop, unlike {device!r}")
    if not 0 <= trash_days <= limits.MAX_TRASH_DAYS:
        raise ConfigError(f"trash_days (collection {name}) is 0, for a trash that is kept, or up to {limits.MAX_TRASH_DAYS} days")
    return CollectionSettings(name, base / Path(path).expanduser(), kind, policies(policy), tuple(ignore), tuple(devices), trash_days)


def check_apart(collections: tuple[CollectionSettings, ...]) -> None:
    """Two collections may have neither one name nor one folder, nor folders inside each other: an item would belong to both.

    Names that differ only in case are one name here, so that a trace or a folder named after them is safe on every file system.

    :raises ConfigError: two of them overlap.
    """
    for index, one in enumerate(collections):
        for other in collections[:index]:
            if one.name.casefold() == other.name.casefold():
                raise ConfigError(f"There is already a collection {other.name}; choose another name")
            here, there = one.path.resolve(), other.path.resolve()
            if here == there or here in there.parents or there in here.parents:
                names = f"{other.name} and {one.name}"
                raise ConfigError(f"The folders of the collections {names} overlap ({there} and {here}); keep them apart")


def _refuse_unknown(raw: Mapping[str, Any], path: Path) -> None:
    for section, value in raw.items():
        if section not in _SECTIONS:
            raise ConfigError(f"{path}: there is no section [{section}]{_nearest(section, _SECTIONS)}")
        known = _SECTIONS[section].__struct_fields__
        for table in value if isinstance(value, list) else [value]:
            for name in table if isinstance(table, dict) else ():
                if name not in known:
                    raise ConfigError(f"{path}: [{section}] has no setting {name!r}{_nearest(name, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    # Here, for only a mistake needs it, and every command reads the settings.
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}."


def _plain(message: str) -> str:
    """msgspec's sentence with the path of the value in TOML's terms."""
    message = re.sub(r" - at `\$\.?([^`]*)`", lambda found: f" (at {found[1] or 'the top'})", message)
    return message.replace("Object missing required field", "missing").replace("`", "'")


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"
