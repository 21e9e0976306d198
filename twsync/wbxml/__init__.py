"""WBXML 1.1 to 1.3 (WAP-192), the binary form of SyncML, MetInf and DevInf documents; docs/protocol/syncml-representation.md."""

from twsync.wbxml.decoding import Document, decode
from twsync.wbxml.element import Element
from twsync.wbxml.encoding import encode, encode_part
from twsync.wbxml.tokens import DEVINF, METINF_NAMES, SYNCML, Language

__all__ = ["DEVINF", "METINF_NAMES", "SYNCML", "Document", "Element", "Language", "decode", "encode", "encode_part"]
