"""What a request asks for, as far as the server has to know: which collection, which type of session."""

from __future__ import annotations

from dataclasses import dataclass

from twsync.control.refusal import Refusal
from twsync.errors import FormatError
from twsync.session import description
from twsync.sip import request as request_document
from twsync.sip.message import Request

SESSION_MEDIA = "application/vnd.twsync.session+xml"
REQUEST_MEDIA = request_document.MEDIA_TYPE
PROGRESS_MEDIA = "application/vnd.twsync.progress+json"


@dataclass(frozen=True, slots=True)
class Offer:
    """A session that a device wants to hold, or wants another one to open."""

    collection: str
    sync_type: str
    partner: str = ""
    "In a request to open a session: with whom, as ``user/device``."


def read_offer(request: Request) -> Offer | None:
    """What an INVITE or MESSAGE is about; None if its body is none of ours.

    :raises Refusal: 400, the body is not what its type says.
    """
    try:
        if request.method == "INVITE" and request.media_type == SESSION_MEDIA:
            offered = description.from_xml(request.body).description
            return Offer(offered.collection, str(offered.sync_type))
        if request.method == "MESSAGE" and request.media_type == REQUEST_MEDIA:
            asked = request_document.parse(request.body)
            return Offer(asked.collection, asked.sync_type, asked.partner)
    except FormatError as error:
        raise Refusal(400, error.message) from error
    return None
