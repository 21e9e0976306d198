"""Messages to bytes and back, in either encoding.

A body says itself what it is: phones send wrong media types, and parameters where none belong. Sizes are exact: what a command takes does
not depend on what stands around it, so that a session can fill a message up to the limit of the other side.
"""

from __future__ import annotations

import msgspec

from twsync import limits, wbxml
from twsync.errors import FormatError
from twsync.syncml import xmlcodec
from twsync.syncml.document import Command, Encoding, Message, Protocol
from twsync.syncml.reading import read_message
from twsync.syncml.writing import Writer
from twsync.wbxml import SYNCML

_WBXML_VERSIONS = (b"\x01", b"\x02", b"\x03")
_XML_STARTS = (b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class Decoded(msgspec.Struct, frozen=True):
    """A message, and how it was written: the answer has to be written alike."""

    message: Message
    encoding: Encoding


def decode(body: bytes, content_type: str | None = None) -> Decoded:
    """Read a message from anyone.

    :param body: the body of a request or a response.
    :param content_type: as the header has it, with parameters. Only the charset is used, for XML that does not declare one: the body
        shows which encoding it is (fact: phones send wrong types, and ``charset=UTF-8`` with WBXML).
    :raises FormatError: it is no SyncML message, or beyond a limit.
    """
    if len(body) > limits.MAX_SYNCML_DOCUMENT:
        raise FormatError(f"a SyncML message of more than {limits.MAX_SYNCML_DOCUMENT} bytes")
    if body[:1] in _WBXML_VERSIONS:
        return Decoded(read_message(wbxml.decode(body, SYNCML["1.2"]).root), Encoding.WBXML)
    if body.lstrip()[:3].startswith(_XML_STARTS):
        return Decoded(read_message(xmlcodec.parse(body, _charset(content_type))), Encoding.XML)
    raise FormatError("a message that is neither XML nor WBXML")


def encode(message: Message, encoding: Encoding) -> bytes:
    """Write a message, in the version that its header names.

    :raises FormatError: it holds what the encoding (XML: control characters, octets) or the version cannot say.
    """
    root = Writer(message.header.protocol, encoding).message(message)
    if encoding is Encoding.WBXML:
        return wbxml.encode(root, SYNCML[message.header.protocol])
    return xmlcodec.document(root, message.header.protocol)


def part(command: Command, encoding: Encoding, protocol: Protocol) -> bytes:
    """What a command adds to a message, wherever in it: ``encode(...)`` of a message is as long as that of the same message without
    commands but with `final`, plus its commands; a Sync, as that Sync without commands plus those.

    :raises FormatError: the command holds what the encoding or the version cannot say; it has to stay out of the message.
    """
    element = Writer(protocol, encoding).command(command)
    if encoding is Encoding.WBXML:
        return wbxml.encode_part(element, SYNCML[protocol])
    return xmlcodec.part(element, protocol)


def _charset(content_type: str | None) -> str | None:
    """The charset parameter of a media type."""
    for parameter in (content_type or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower()
    return None
