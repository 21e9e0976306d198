"""Elements to values: lenient about order, blanks, unknown elements and what phones leave out (fact sheet sections 1, 10 and 14).

What the root, the header and its identity need is asked for; everything else may be missing.
"""

from __future__ import annotations

from twsync.errors import FormatError
from twsync.syncml.budget import Budget
from twsync.syncml.commandreading import CommandReader
from twsync.syncml.document import PROTOCOLS, Command, Header, Message, Protocol
from twsync.syncml.parts import Parts
from twsync.syncml.primitives import word
from twsync.wbxml import Element

#: Values of VerProto that are answered otherwise than by 513; that of another version than VerDTD is overlooked.
_PROTOS = {protocol.proto.lower() for protocol in Protocol}


def read_message(root: Element) -> Message:
    """The values of a document.

    :raises FormatError: it is no SyncML message, lacks what every message needs, or is beyond a limit.
    """
    if root.name != "SyncML":
        raise FormatError(f"a document that is no SyncML message but {root.name[:40]}")
    budget = Budget()
    parts = Parts(budget)
    commands = CommandReader(budget, parts)
    header: Header | None = None
    body: tuple[Command, ...] = ()
    final = False
    for child in root.children:
        if child.name == "SyncHdr":
            header = _header(child, parts)
            parts.protocol = header.protocol
        elif child.name == "SyncBody":
            body += commands.read(child)
            final = final or any(part.name == "Final" for part in child.children)
    if header is None:
        raise FormatError("a SyncML message without SyncHdr")
    return Message(header, body, final)


def _header(element: Element, parts: Parts) -> Header:
    version = proto = session = message = resp_uri = None
    target = source = None
    cred = meta = None
    no_resp = False
    for child in element.children:
        match child.name:
            case "VerDTD":
                version = word(child)
            case "VerProto":
                proto = word(child)
            case "SessionID":
                session = word(child)
            case "MsgID":
                message = word(child)
            case "Target":
                target = parts.location(child)
            case "Source":
                source = parts.location(child)
            case "RespURI":
                resp_uri = word(child)
            case "NoResp":
                no_resp = True
            case "Cred":
                cred = parts.cred(child)
            case "Meta":
                meta = parts.meta(child)
    needed = {"VerDTD": version, "SessionID": session, "MsgID": message}
    for name, value in needed.items():
        if not value:
            raise FormatError(f"a SyncML message without {name} in its header")
    if target is None or source is None:
        raise FormatError("a SyncML message without Target or Source in its header")
    assert version is not None and session is not None and message is not None, "looked for above"
    known = version in PROTOCOLS and (not proto or proto.lower() in _PROTOS)
    return Header(
        protocol=PROTOCOLS.get(version, Protocol.V1_2),
        session_id=session,
        msg_id=message,
        target=target,
        source=source,
        resp_uri=resp_uri,
        no_resp=no_resp,
        cred=cred,
        meta=meta,
        foreign="" if known else proto or version,
    )
