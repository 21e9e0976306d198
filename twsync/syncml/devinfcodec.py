"""Device information: elements to values and back (fact sheet section 10).

Reading takes any order and any version's shape; writing keeps to the DTD of the version that the value names, and leaves out what that
version does not have: a device information is advice, and an older one simply says less.
"""

from __future__ import annotations

from twsync.syncml.ctcapcodec import read_ctcaps, write_ctcap, write_flat
from twsync.syncml.document import PROTOCOLS, ContentType, CTCap, DataStore, DevInf, Ext, FilterCap, Mem, Protocol
from twsync.syncml.primitives import add, first_word, flags, number, text, texts, word
from twsync.wbxml import Element


def read_devinf(root: Element, protocol: Protocol) -> DevInf:
    """The values of a DevInf.

    :param protocol: the version it is taken to be in if it does not say.
    :raises FormatError: a text in it is beyond its limit.
    """
    words: dict[str, str] = {}
    stores: list[DataStore] = []
    ctcaps: list[CTCap] = []
    exts: list[Ext] = []
    for child in root.children:
        if child.name == "DataStore":
            stores.append(_read_store(child))
        elif child.name == "CTCap":
            ctcaps += read_ctcaps(child)
        elif child.name == "Ext":
            exts.append(Ext(first_word(child, "XNam"), texts(child, "XVal")))
        elif not child.children:
            # A repeated one does not say more.
            words.setdefault(child.name, word(child))
    return DevInf(
        version=PROTOCOLS.get(words.get("VerDTD", ""), protocol),
        device_id=words.get("DevID", ""),
        device_type=words.get("DevTyp") or "workstation",
        manufacturer=words.get("Man"),
        model=words.get("Mod"),
        oem=words.get("OEM"),
        firmware=words.get("FwV"),
        software=words.get("SwV"),
        hardware=words.get("HwV"),
        utc="UTC" in words,
        large_objects="SupportLargeObjs" in words,
        number_of_changes="SupportNumberOfChanges" in words,
        datastores=tuple(stores),
        ctcaps=tuple(ctcaps),
        exts=tuple(exts),
    )


def _read_store(element: Element) -> DataStore:
    source_ref, display_name = "", None
    max_guid = None
    kinds: dict[str, list[ContentType]] = {"Rx-Pref": [], "Rx": [], "Tx-Pref": [], "Tx": [], "Filter-Rx": []}
    ctcaps: list[CTCap] = []
    mem = None
    hierarchical = False
    sync_types: tuple[str, ...] = ()
    filter_caps: list[FilterCap] = []
    for child in element.children:
        match child.name:
            case "SourceRef":
                source_ref = text(child)
            case "DisplayName":
                display_name = text(child)
            case "MaxGUIDSize":
                max_guid = number(child)
            case "CTCap":
                ctcaps += read_ctcaps(child)
            case "DSMem":
                numbers = {part.name: number(part) for part in child.children if part.name != "SharedMem"}
                shared = any(part.name == "SharedMem" for part in child.children)
                mem = Mem(numbers.get("MaxMem"), numbers.get("MaxID"), shared)
            case "SupportHierarchicalSync":
                hierarchical = True
            case "SyncCap":
                sync_types = tuple(word(part) for part in child.children if part.name == "SyncType")
            case "FilterCap":
                filter_caps.append(_read_filter_cap(child))
            case name if name in kinds:
                kinds[name].append(ContentType(first_word(child, "CTType"), first_word(child, "VerCT")))
    return DataStore(
        source_ref,
        display_name,
        max_guid,
        kinds["Rx-Pref"][0] if kinds["Rx-Pref"] else None,
        tuple(kinds["Rx"]),
        kinds["Tx-Pref"][0] if kinds["Tx-Pref"] else None,
        tuple(kinds["Tx"]),
        tuple(ctcaps),
        mem,
        hierarchical,
        sync_types,
        tuple(kinds["Filter-Rx"]),
        tuple(filter_caps),
    )


def _read_filter_cap(element: Element) -> FilterCap:
    kind, version = first_word(element, "CTType"), first_word(element, "VerCT")
    return FilterCap(kind, version, texts(element, "FilterKeyword"), texts(element, "PropName"))


def write_devinf(devinf: DevInf) -> Element:
    """The elements of a device information, in the order of its version's DTD; VerDTD is the first.

    1.2 asks for Man, Mod, FwV, SwV and HwV: what is not known is written as ``unknown`` there.
    """
    modern = devinf.version is Protocol.V1_2
    out = [Element("VerDTD", text=devinf.version.value)]
    for name, value, needed in (
        ("Man", devinf.manufacturer, modern),
        ("Mod", devinf.model, modern),
        ("OEM", devinf.oem, False),
        ("FwV", devinf.firmware, modern),
        ("SwV", devinf.software, modern),
        ("HwV", devinf.hardware, modern),
    ):
        if value is not None or needed:
            out.append(Element(name, text="unknown" if value is None else value))
    out += (Element("DevID", text=devinf.device_id), Element("DevTyp", text=devinf.device_type))
    if devinf.version is not Protocol.V1_0:
        out += flags(UTC=devinf.utc, SupportLargeObjs=devinf.large_objects, SupportNumberOfChanges=devinf.number_of_changes)
    out += [_write_store(store, modern) for store in devinf.datastores]
    if not modern and devinf.ctcaps:
        flat = [part for cap in devinf.ctcaps for part in write_flat(cap)]
        out.append(Element("CTCap", flat))
    for ext in devinf.exts:
        out.append(Element("Ext", [Element("XNam", text=ext.name), *(Element("XVal", text=value) for value in ext.values)]))
    return Element("DevInf", out)


def _write_store(store: DataStore, modern: bool) -> Element:
    out = [Element("SourceRef", text=store.source_ref)]
    add(out, "DisplayName", store.display_name)
    add(out, "MaxGUIDSize", store.max_guid_size)
    for name, preferred, others in (("Rx", store.rx_pref, store.rx), ("Tx", store.tx_pref, store.tx)):
        if preferred is not None:
            out.append(_content_type(f"{name}-Pref", preferred))
        out += [_content_type(name, other) for other in others]
    if modern:
        out += [write_ctcap(cap) for cap in store.ctcaps]
    if store.mem is not None:
        mem = flags(SharedMem=store.mem.shared)
        add(mem, "MaxMem", store.mem.free_mem)
        add(mem, "MaxID", store.mem.free_id)
        out.append(Element("DSMem", mem))
    if modern:
        out += flags(SupportHierarchicalSync=store.hierarchical)
    out.append(Element("SyncCap", [Element("SyncType", text=kind) for kind in store.sync_types]))
    if modern:
        out += [_content_type("Filter-Rx", kind) for kind in store.filter_rx]
        for cap in store.filter_caps:
            words = [Element("FilterKeyword", text=keyword) for keyword in cap.keywords]
            names = [Element("PropName", text=name) for name in cap.properties]
            head = [Element("CTType", text=cap.type), Element("VerCT", text=cap.version)]
            out.append(Element("FilterCap", head + words + names))
    return Element("DataStore", out)


def _content_type(name: str, kind: ContentType) -> Element:
    return Element(name, [Element("CTType", text=kind.type), Element("VerCT", text=kind.version)])
