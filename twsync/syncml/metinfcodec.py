"""MetInf: what stands in Meta, elements to values and back (fact sheet section 1.2)."""

from __future__ import annotations

from twsync.syncml.budget import Budget
from twsync.syncml.document import Anchor, Mem, Meta, Protocol
from twsync.syncml.primitives import add, flags, number, text, word
from twsync.wbxml import Element

_DEVINF_XML = "application/vnd.syncml-devinf+xml"
_DEVINF_WBXML = "application/vnd.syncml-devinf+wbxml"


def read_meta(element: Element, budget: Budget) -> Meta:
    """The children of Meta, with or without a MetInf around them.

    :raises FormatError: a text in it is beyond its limit, or it has more marks than the message has room for.
    """
    form = kind = mark = version = nonce = None
    size = max_msg = max_obj = None
    anchor = None
    mem = None
    field_level = False
    emi: list[str] = []
    children = element.children
    if len(children) == 1 and children[0].name == "MetInf":
        children = children[0].children
    for child in children:
        match child.name:
            case "Type":
                kind = word(child)
                if kind.lower() in (_DEVINF_XML, _DEVINF_WBXML):
                    kind = _DEVINF_XML
            case "Format":
                form = word(child)
            case "Size":
                size = number(child)
            case "EMI":
                budget.item()
                emi.append(text(child))
            case "Anchor":
                anchor = _anchor(child)
            case "MaxMsgSize":
                max_msg = number(child)
            case "MaxObjSize":
                max_obj = number(child)
            case "NextNonce":
                nonce = word(child)
            case "Mark":
                mark = word(child)
            case "Version":
                version = text(child)
            case "FieldLevel":
                field_level = True
            case "Mem":
                mem = _mem(child)
    return Meta(form, kind, mark, size, anchor, version, nonce, max_msg, max_obj, field_level, tuple(emi), mem)


def _anchor(element: Element) -> Anchor:
    following, last = "", None
    for child in element.children:
        if child.name == "Next":
            following = text(child)
        elif child.name == "Last":
            last = text(child)
    return Anchor(following, last)


def _mem(element: Element) -> Mem:
    free_mem = free_id = None
    shared = False
    for child in element.children:
        match child.name:
            case "FreeMem":
                free_mem = number(child)
            case "FreeID" | "FreeId":
                free_id = number(child)
            case "SharedMem":
                shared = True
    return Mem(free_mem, free_id, shared)


def write_meta(meta: Meta, protocol: Protocol, binary: bool) -> Element:
    """Meta, without a MetInf between it and its children, in the order of the DTD.

    :param protocol: the version; 1.0 has no MaxObjSize, which is left out there.
    :param binary: the message is WBXML, and so is device information in it: its Type says so.
    """
    out: list[Element] = []
    if meta.field_level:
        out.append(Element("FieldLevel"))
    add(out, "Format", meta.format)
    add(out, "Type", _DEVINF_WBXML if binary and meta.type == _DEVINF_XML else meta.type)
    add(out, "Mark", meta.mark)
    add(out, "Size", meta.size)
    if meta.anchor is not None:
        anchor: list[Element] = []
        add(anchor, "Last", meta.anchor.last)
        add(anchor, "Next", meta.anchor.next)
        out.append(Element("Anchor", anchor))
    add(out, "Version", meta.version)
    add(out, "NextNonce", meta.next_nonce)
    add(out, "MaxMsgSize", meta.max_msg_size)
    if protocol is not Protocol.V1_0:
        add(out, "MaxObjSize", meta.max_obj_size)
    out += [Element("EMI", text=mark) for mark in meta.emi]
    if meta.mem is not None:
        mem = flags(SharedMem=meta.mem.shared)
        add(mem, "FreeMem", meta.mem.free_mem)
        add(mem, "FreeID", meta.mem.free_id)
        out.append(Element("Mem", mem))
    return Element("Meta", out)
