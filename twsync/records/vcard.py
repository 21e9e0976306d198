"""vCard: 2.1 (versit), 3.0 (RFC 2426) and 4.0 (RFC 6350) to 3.0, the stored form; and 3.0 to 2.1."""

from __future__ import annotations

import msgspec

from twsync.errors import FormatError
from twsync.records.component import Component, parse, plain, write
from twsync.records.contentline import Parameter, Property
from twsync.records.transfer import (
    base64_text,
    decoded_text,
    encode_quoted_printable,
    is_base64,
    is_quoted_printable,
    needs_quoting,
)
from twsync.records.values import escape, fields, items, legacy_escape, legacy_unescape, split, unescape

#: Values of several fields between semicolons.
STRUCTURED = frozenset({"N", "ADR", "ORG"})
#: Values that are lists between commas.
LISTS = frozenset({"CATEGORIES", "NICKNAME"})
#: Values that are one text.
TEXTS = frozenset({"FN", "NOTE", "TITLE", "ROLE", "LABEL", "MAILER", "SORT-STRING", "TEL", "EMAIL", "PRODID"})
#: Values that are binary, or a URI.
BINARY = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
#: Kinds of addresses of vCard 2.1 (section 2.3.2) that are in use.
_MAILS = frozenset({"INTERNET", "X400", "IBMMAIL", "MCIMAIL", "CIS", "AOL", "APPLELINK", "ATTMAIL"})
_ENCODINGS = frozenset({"QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT", "B"})
_LOCATIONS = {"INLINE": "", "URL": "uri", "CONTENT-ID": "uri", "CID": "uri"}


def modern_params(prop: Property) -> tuple[Parameter, ...]:
    """The parameters of a 2.1 property as 3.0 has them."""
    kept: list[Parameter] = []
    types: list[str] = []
    for param in prop.params:
        name = param.name.upper()
        upper = [value.upper() for value in param.values]
        if name in ("ENCODING", "CHARSET") or (not name and upper[0] in _ENCODINGS):
            continue
        if name == "VALUE" or (not name and upper[0] in _LOCATIONS):
            located = _LOCATIONS.get(upper[0], param.values[0].lower())
            kept += [Parameter("VALUE", (located,))] if located else []
        elif name in ("", "TYPE"):
            types += [value.upper() if not name else value for value in param.values if value]
        else:
            kept.append(param)
    if types:
        kept.append(Parameter("TYPE", tuple(dict.fromkeys(types))))
    if is_base64(prop):
        kept.insert(0, Parameter("ENCODING", ("b",)))
    return tuple(kept)


def _from_21(prop: Property, octets: bool) -> Property | None:
    key = prop.key
    if is_base64(prop):
        value = base64_text(prop.value)
    else:
        text = decoded_text(prop, octets)
        if key in STRUCTURED:
            value = ";".join(escape(legacy_unescape(field)) for field in split(text, ";"))
        elif key in LISTS:
            value = ",".join(
                escape(legacy_unescape(item).strip()) for part in split(text, ";") for item in split(part, ",") if item.strip()
            )
        elif key in TEXTS:
            value = escape(legacy_unescape(text))
        elif key == "GEO":
            value = _swapped(text, ",", ";")
        else:
            value = text.replace("\n", "\\n")
    if _is_empty(key, value):
        return None
    return Property(prop.name, value, modern_params(prop), prop.group)


def _is_empty(key: str, value: str) -> bool:
    """Whether a raw value says nothing: devices write every field that they know."""
    return not (value.replace(";", "") if key in STRUCTURED else value).strip()


def _swapped(text: str, there: str, here: str) -> str:
    """GEO: longitude first in vCard 2.1 and between commas, latitude first in 3.0 and between semicolons."""
    one, _, other = text.strip().partition(there)
    return f"{other.strip()}{here}{one.strip()}" if other else text


def _from_4(prop: Property) -> Property:
    """A property of vCard 4.0 as 3.0 has it, where 3.0 has it (RFC 6350 appendix A)."""
    key = prop.key
    # Several types may stand between one pair of quotes.
    params = tuple(
        Parameter(param.name, tuple(one for value in param.values for one in value.split(","))) if param.name.upper() == "TYPE" else param
        for param in prop.params
    )
    prop = Property(prop.name, prop.value, params, prop.group)
    value = prop.value
    preferred = prop.first("PREF")
    if preferred:
        types = prop.param("TYPE")
        params = prop.without("PREF", "TYPE")
        params += (Parameter("TYPE", (*types, "PREF") if preferred == "1" else types),) if types or preferred == "1" else ()
    if key == "TEL" and value.lower().startswith("tel:"):
        value = value[4:].replace(";ext=", " ")
        params = tuple(param for param in params if param.name.upper() != "VALUE")
    if key in BINARY and value.lower().startswith("data:") and ";base64," in value.replace("\\,", ","):
        value = value.replace("\\,", ",")
        media, _, value = value[5:].partition(";base64,")
        params = tuple(param for param in params if param.name.upper() not in ("VALUE", "MEDIATYPE"))
        params = (Parameter("ENCODING", ("b",)), Parameter("TYPE", (media.rpartition("/")[2].upper() or "JPEG",)), *params)
    elif key in BINARY and not any(param.name.upper() == "VALUE" for param in params):
        params = (Parameter("VALUE", ("uri",)), *params)
    if key in ("BDAY", "ANNIVERSARY") and len(value) == 8 and value.isdigit():
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    if key == "GEO" and value.lower().startswith("geo:"):
        value = ";".join(value[4:].partition(";")[0].split(",")[:2])
    if key == "UID" and any(param.name.upper() == "VALUE" for param in params):
        params = tuple(param for param in params if param.name.upper() != "VALUE")
    return Property(prop.name, value, params, prop.group)


def _to_4(prop: Property) -> Property:
    """A property of 3.0 as vCard 4.0 has it."""
    key, params, value = prop.key, prop.params, prop.value
    if any(one.upper() == "PREF" for one in prop.param("TYPE")):
        types = tuple(one for one in prop.param("TYPE") if one.upper() != "PREF")
        params = (*prop.without("TYPE"), *([Parameter("TYPE", types)] if types else []), Parameter("PREF", ("1",)))
    if key in BINARY and prop.first("ENCODING") in ("B", "BASE64"):
        kind = {"PHOTO": "image", "LOGO": "image", "SOUND": "audio"}.get(key, "application")
        value = f"data:{kind}/{(prop.first('TYPE') or 'octet-stream').lower()};base64,{value}"
        params = prop.without("ENCODING", "TYPE")
    elif key in BINARY and prop.first("VALUE") == "URI":
        params = prop.without("VALUE")
    if key == "GEO" and value.count(";") == 1:
        value = f"geo:{value.replace(';', ',')}"
    if key in ("BDAY", "ANNIVERSARY") and len(value) == 10:
        value = value.replace("-", "")
    return Property(prop.name, value, params, prop.group)


def as_4(card: Component, source: Component) -> Component:
    """A card of 3.0 that was made of one of 4.0 and then changed, as 4.0 again: what was not changed stands as it stood in `source`."""
    was = {_from_4(prop): prop for prop in source.properties if prop.key not in ("VERSION", "PROFILE")}
    made = [was[prop] if prop in was else _to_4(prop) for prop in card.properties if prop.key != "VERSION"]
    if source.get("N") is None:
        made = [prop for prop in made if prop.key != "N" or not _is_empty("N", prop.value)]
    return Component("VCARD", (plain("VERSION", "4.0"), *made), card.components)


def _name_of(properties: list[Property]) -> str:
    """A text for FN where there is none: from the name, else whatever says who it is."""
    found = {prop.key: prop.value for prop in reversed(properties)}
    parts = [*fields(found.get("N", "")), "", "", ""]
    name = " ".join(part for part in (parts[1], parts[2], parts[0]) if part)
    return name or next((" ".join(fields(found[key])) for key in ("ORG", "NICKNAME", "EMAIL", "TEL") if found.get(key)), "")


def stored(card: Component, version: str, octets: bool = False, *, whole: bool = True) -> Component:
    """A card of any version as vCard 3.0. Properties that 3.0 does not know stay as they are.

    :param version: of `card`: 2.1, 3.0 or 4.0.
    :param octets: see `transfer.decoded_text`.
    :param whole: give it the N and FN that 3.0 asks for, if it has none.
    :raises FormatError: for base64 that is none.
    """
    properties: list[Property] = []
    for prop in card.properties:
        made: Property | None = prop
        if version == "2.1":
            made = _from_21(prop, octets)
        elif version == "4.0":
            made = _from_4(prop)
        elif is_quoted_printable(prop) or prop.param("CHARSET"):
            # 3.0 has neither, but devices that learnt 2.1 first write them.
            made = msgspec.structs.replace(
                prop, value=decoded_text(prop, octets).replace("\n", "\\n"), params=prop.without("CHARSET", "ENCODING")
            )
        if made is not None and made.key not in ("VERSION", "PROFILE") and not _is_empty(made.key, made.value):
            properties.append(made)
    for nested in card.components:
        # AGENT of 2.1 is a card in a card; of 3.0, its text.
        inner = stored(nested, version, octets) if nested.name == "VCARD" else nested
        properties.append(plain("AGENT", escape(write(inner).replace("\r\n", "\n"))))
    keys = {prop.key for prop in properties}
    if "N" not in keys and whole:
        properties.insert(0, plain("N", ";;;;"))
    if "FN" not in keys and whole and (name := _name_of(properties)):
        properties.insert(0, plain("FN", escape(name)))
    return Component("VCARD", (plain("VERSION", "3.0"), *properties))


def legacy_params(prop: Property) -> list[Parameter]:
    """The parameters of a 3.0 property (or of iCalendar) as the legacy dialect has them; those that would need quotes are left out."""
    made: list[Parameter] = []
    for param in prop.params:
        name = param.name.upper()
        if name in ("TYPE", ""):
            made += [Parameter("", (value.upper(),)) for value in param.values if value and not set(value) & set(':;,="')]
        elif name == "VALUE":
            made += [Parameter("VALUE", ("URL",))] if param.values[0].lower() == "uri" else []
        elif name not in ("ENCODING", "CHARSET"):
            # 2.1 has no quotes: what would need them cannot be said.
            made += [param] if not any(set(value) & set(':;,"\n') for value in param.values) else []
    return made


def legacy_line(name: str, params: list[Parameter], text: str) -> Property:
    """A property of the legacy dialect: plain if it can be, else in UTF-8 as quoted-printable.

    :param text: the value with legacy escapes, line ends as LF.
    """
    if not needs_quoting(text):
        return Property(name, text, tuple(params))
    made = [*params, *([Parameter("CHARSET", ("UTF-8",))] if not text.isascii() else []), Parameter("ENCODING", ("QUOTED-PRINTABLE",))]
    used = len(name) + sum(len(param.name) + sum(len(value) + 2 for value in param.values) for param in made) + 1
    return Property(name, encode_quoted_printable(text, 75 - used), tuple(made))


def legacy_binary(name: str, params: list[Parameter], raw: str) -> Property | None:
    """A binary property of the legacy dialect: base64 in lines of its own, an empty line behind (vCard 2.1 section 2.1.3).

    None for a value that is no base64.
    """
    try:
        value = base64_text(raw)
    except FormatError:
        return None
    lines = [value[at : at + 72] for at in range(0, len(value), 72)]
    return Property(name, "\r\n " + "\r\n ".join(lines) + "\r\n", (*params, Parameter("ENCODING", ("BASE64",))))


def mail_named(card: Component) -> Component:
    """A card whose e-mail addresses all say of which kind they are: what says nothing is of the Internet anyway, and Nokia's phones leave
    out those that do not say it."""

    def named(prop: Property) -> Property:
        if prop.key != "EMAIL" or _MAILS & {value.upper() for name in ("TYPE", "") for value in prop.param(name)}:
            return prop
        return Property(prop.name, prop.value, (*prop.params, Parameter("TYPE", ("INTERNET",))), prop.group)

    return Component(card.name, tuple(named(prop) for prop in card.properties), card.components)


def _to_21(prop: Property) -> Property | None:
    key = prop.key
    params = legacy_params(prop)
    if prop.first("ENCODING") in ("B", "BASE64"):
        return legacy_binary(prop.name, params, prop.value)
    if key in STRUCTURED:
        text = ";".join(legacy_escape(unescape(field), structured=True) for field in split(prop.value, ";"))
    elif key in LISTS:
        text = ",".join(legacy_escape(item, structured=True).replace(",", "\\,") for item in items(prop.value))
    elif key in TEXTS:
        text = legacy_escape(unescape(prop.value), structured=False)
    elif key == "GEO":
        text = _swapped(prop.value, ";", ",")
    else:
        text = prop.value
    return legacy_line(prop.name, params, text)


def legacy(card: Component) -> str:
    """The text of a card of version 3.0 as vCard 2.1.

    Not carried: groups with Apple's labels (X-AB…), agents, parameters that would need quotes.
    """
    carried = [prop for prop in card.properties if prop.key not in ("VERSION", "AGENT") and not prop.key.startswith("X-AB")]
    properties = [made for prop in carried if (made := _to_21(prop)) is not None]
    return write(Component("VCARD", (plain("VERSION", "2.1"), *properties)), legacy=True)


def read(text: str, octets: bool, *, whole: bool) -> Component:
    """A card of any version that came over a wire, as vCard 3.0; `octets` and `whole` as for `stored`.

    :raises FormatError: if it is none.
    """
    card = parse(text, sniff_legacy(text))
    if card.name != "VCARD":
        raise FormatError(f"a contact must be a VCARD, not a {card.name[:40]}")
    version = card.value("VERSION")
    return stored(card, version if version in ("2.1", "4.0") else "2.1" if sniff_legacy(text) else "3.0", octets, whole=whole)


def sniff_legacy(text: str) -> bool:
    """Whether a vCard is of version 2.1: by what it says, else by its looks."""
    for line in text[:4096].replace("\r", "\n").split("\n"):
        name, _, value = line.partition(":")
        if name.strip().upper() == "VERSION":
            return value.strip().startswith("2")
    return "QUOTED-PRINTABLE" in text.upper()
