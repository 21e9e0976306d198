"""The settings of a control server: ``syncctl.toml``, read strictly.

An unknown name is refused, with the nearest known one as a suggestion. Paths, also those inside endpoint strings, are relative to the
folder of the file.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from twsync import limits
from twsync.control.policy import Grant, Policy
from twsync.errors import ConfigError
from twsync.sip import grammar
from twsync.store.control import located

LOG_LEVELS = ("debug", "info", "warn", "error", "critical")
#: Arguments of endpoint strings that name files or folders.
_PATH_ARGUMENTS = ("privateKey", "certKey", "extraCertChain", "dhParameters", "caCertsDir")


class ServerSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[server]``."""

    realm: str
    sip: list[str]
    host: str = ""
    "The name or address devices reach the server by; the realm if empty."
    web: str = ""
    metrics: str = ""
    database: str = "sqlite:///syncctl.db"


class RegistrationSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[registration]``; times in seconds."""

    expires: int = 60
    min_expires: int = 30
    max_expires: int = 3600
    md5: bool = True
    signup: str = "closed"


class LimitSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[limits]``: connections that come in; see `twsync.limits` for the reasons."""

    connections: int = limits.MAX_SIP_FLOWS
    "At once."
    connections_per_second: float = limits.SIP_FLOW_RATE
    "New ones of one address, on average."
    connections_per_address: int = limits.SIP_FLOW_BURST
    "New ones of one address at once, and those on which nobody has signed in."


class PolicySettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[policy]``."""

    across_users: list[str] = []


class LogSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[log]``."""

    level: str = "info"
    json: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True):
    server: ServerSettings
    registration: RegistrationSettings = msgspec.field(default_factory=RegistrationSettings)
    limits: LimitSettings = msgspec.field(default_factory=LimitSettings)
    policy: PolicySettings = msgspec.field(default_factory=PolicySettings)
    log: LogSettings = msgspec.field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings; every path in them is absolute."""

    path: Path
    "The file they came from."
    realm: str
    host: str
    sip: tuple[str, ...]
    "Endpoint strings."
    web: str
    metrics: str
    database: str
    registration: RegistrationSettings
    policy: Policy
    log: LogSettings
    limits: LimitSettings = field(default_factory=LimitSettings)


def load(path: Path) -> Settings:
    """The settings in the file at `path`.

    :raises ConfigError: it cannot be read or something in it is wrong; the sentence names the setting.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"There is no settings file {path}; make one with 'twsync ctl init', or give --config.", "no-config") from error
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"The settings file {path} cannot be read: {said}.") from error
    try:
        found = msgspec.convert(tomllib.loads(text), _File)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_clearer(str(error))}") from error
    return _checked(path.absolute(), found)


def _checked(path: Path, found: _File) -> Settings:
    folder, server, registration = path.parent, found.server, found.registration
    if not grammar.is_host(server.realm):
        raise ConfigError(f"{path}: [server] realm must be a domain name such as example.org, unlike {server.realm!r}.")
    host = server.host or server.realm
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    if not grammar.is_host(host):
        raise ConfigError(f"{path}: [server] host must be a name or an address, unlike {server.host!r}.")
    if not server.sip:
        example = "ssl:5061:privateKey=tls/key.pem:certKey=tls/cert.pem"
        raise ConfigError(f'{path}: [server] sip must name at least one endpoint, such as "{example}".')
    if not 1 <= registration.min_expires <= registration.expires <= registration.max_expires <= 86_400:
        raise ConfigError(f"{path}: [registration] needs 1 <= min_expires <= expires <= max_expires <= 86400 (seconds).")
    bounds = found.limits
    if not (1 <= bounds.connections_per_address <= bounds.connections <= 1_000_000 and bounds.connections_per_second > 0):
        raise ConfigError(
            f"{path}: [limits] needs 1 <= connections_per_address <= connections <= 1000000, and connections_per_second above 0."
        )
    if registration.signup not in ("closed", "code", "open"):
        raise ConfigError(f'{path}: [registration] signup is "closed", unlike {registration.signup!r}.')
    if registration.signup != "closed":
        raise ConfigError(
            f"{path}: [registration] signup = {registration.signup!r} is not in this version; "
            "set \"closed\" and add users with 'twsync ctl user add'."
        )
    if found.log.level not in LOG_LEVELS:
        raise ConfigError(f"{path}: [log] level is one of {', '.join(LOG_LEVELS)}, unlike {found.log.level!r}.")
    try:
        policy = Policy(Grant.parse(text) for text in found.policy.across_users)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return Settings(
        path=path,
        realm=server.realm.lower(),
        host=host.lower(),
        sip=tuple(_absolute(text, folder) for text in server.sip),
        web=_absolute(server.web, folder),
        metrics=_absolute(server.metrics, folder),
        database=located(server.database, folder),
        registration=registration,
        policy=policy,
        log=found.log,
        limits=found.limits,
    )


def _absolute(endpoint: str, folder: Path) -> str:
    """An endpoint string with its paths made absolute. Colons inside values are escaped by a backslash, in Twisted's way."""
    if not endpoint:
        return ""
    parts = re.split(r"(?<!\\):", endpoint)
    for place, part in enumerate(parts):
        name, equals, value = part.partition("=")
        names_file = equals and name in _PATH_ARGUMENTS
        if names_file:
            whole = str(folder / re.sub(r"\\(.)", r"\1", value))
            parts[place] = name + "=" + re.sub(r"([\\:])", r"\\\1", whole)
        elif parts[0] == "unix" and place == 1:
            parts[place] = re.sub(r"([\\:])", r"\\\1", str(folder / re.sub(r"\\(.)", r"\1", part)))
    return ":".join(parts)


def _clearer(said: str) -> str:
    """msgspec's sentence, with the section in TOML's way and a suggestion for a misspelt name."""
    sentence, _, path = said.partition(" - at `$")
    section, _, name = path.rstrip("`").lstrip(".").partition(".")
    where = f"[{section}] {name}".strip() if section else ""
    unknown = re.search(r"unknown field `([^`]+)`", sentence)
    if unknown is not None:
        kinds = (_File, ServerSettings, RegistrationSettings, LimitSettings, PolicySettings, LogSettings)
        near = difflib.get_close_matches(unknown[1], [known for kind in kinds for known in kind.__struct_fields__], 1)
        advice = f"did you mean {near[0]!r}?" if near else "see etc/syncctl.toml."
        return f"unknown setting {unknown[1]!r}{' in ' + where if where else ''}; {advice}"
    return f"{where + ': ' if where else ''}{sentence[:1].lower()}{sentence[1:]}; see etc/syncctl.toml for every setting."
