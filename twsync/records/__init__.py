"""Contacts, calendar entries, tasks, notes and messages: reading, writing, converting, comparing and merging them. Text in, text out."""

from __future__ import annotations

from twsync.records.capabilities import Capabilities, ParameterCapability, PropertyCapability, capabilities
from twsync.records.family import Family, Form, form_of, forms, suffix
from twsync.records.identity import Identity, as_copy, equal, fingerprint, name_for, title, uid, with_uid
from twsync.records.lines import Prefer
from twsync.records.merge import Conflict, Merged, merge
from twsync.records.offered import properties
from twsync.records.overlay import overlay
from twsync.records.wire import check, from_wire, to_wire

__all__ = [
    "Capabilities",
    "Conflict",
    "Family",
    "Form",
    "Identity",
    "Merged",
    "ParameterCapability",
    "Prefer",
    "PropertyCapability",
    "as_copy",
    "capabilities",
    "check",
    "equal",
    "fingerprint",
    "form_of",
    "forms",
    "from_wire",
    "merge",
    "name_for",
    "overlay",
    "properties",
    "suffix",
    "title",
    "to_wire",
    "uid",
    "with_uid",
]
