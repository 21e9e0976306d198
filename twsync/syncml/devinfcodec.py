"""Device information: elements to values and back (fact sheet section 10).

Reading takes any order and any version's shape; writing keeps to the DTD of the version that the value names, and leaves out what that
version does not have: a device information is advice, and an older one simply says less.
"""

from __future__ import annotations

from twsync.syncml.document import ContentType, CTCap, DataStore, DevInf, Ext, FilterCap, Mem, Property, PropParam, Protocol
from twsync.syncml.primitives import number, text, word
from twsync.wbxml import Element

_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}


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
            ctcaps += _read_ctcaps(child)
        elif child.name == "Ext":
            exts.append(Ext(_first(child, "XNam") or "", _texts(child, "XVal")))
        elif not child.children:
            # A repeated one does not say more.
            words.setdefault(child.name, word(child))
    return DevInf(
        version=_PROTOCOLS.get(words.get("VerDTD", ""), protocol),
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
                ctcaps += _read_ctcaps(child)
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
                kinds[name].append(ContentType(_first(child, "CTType") or "", _first(child, "VerCT") or ""))
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
    kind, version = _first(element, "CTType") or "", _first(element, "VerCT") or ""
    return FilterCap(kind, version, _texts(element, "FilterKeyword"), _texts(element, "PropName"))


def _read_ctcaps(element: Element) -> list[CTCap]:
    """One CTCap of 1.2, or the flat list of 1.0 and 1.1: several types, each with properties, each with parameters."""
    found: list[_OpenCap] = []
    for child in element.children:
        if child.name == "CTType":
            found.append(_OpenCap(word(child)))
        elif found:
            found[-1].take(child)
    return [cap.close() for cap in found]


class _OpenProperty:
    """A property whose elements are being read, or a parameter of one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data_type: str | None = None
        self.display_name: str | None = None
        self.max_occur: int | None = None
        self.max_size: int | None = None
        self.no_truncate = False
        self.values: list[str] = []
        self.params: list[_OpenProperty] = []

    def take(self, child: Element) -> None:
        """The next element; those behind a ParamName belong to the parameter."""
        last = self.params[-1] if self.params else self
        match child.name:
            case "PropName":
                self.name = word(child)
            case "ParamName":
                # Of 1.1, and of Nokia's 1.2.
                self.params.append(_OpenProperty(word(child)))
            case "PropParam":
                param = _OpenProperty("")
                for part in child.children:
                    if part.name == "ParamName":
                        param.name = word(part)
                    else:
                        param.take(part)
                self.params.append(param)
            case "DataType":
                last.data_type = word(child)
            case "DisplayName":
                last.display_name = text(child)
            case "ValEnum":
                last.values.append(text(child))
            case "MaxOccur":
                self.max_occur = number(child)
            case "MaxSize" | "Size":
                last.max_size = number(child)
            case "NoTruncate":
                self.no_truncate = True

    def close(self) -> Property:
        """The value."""
        params = tuple(PropParam(param.name, param.data_type, tuple(param.values), param.display_name) for param in self.params)
        return Property(
            self.name, self.data_type, self.max_occur, self.max_size, self.no_truncate, tuple(self.values), self.display_name, params
        )


class _OpenCap:
    """A CTCap whose elements are being read."""

    def __init__(self, kind: str) -> None:
        self._type = kind
        self._version = ""
        self._field_level = False
        self._properties: list[_OpenProperty] = []

    def take(self, child: Element) -> None:
        """The next element behind CTType."""
        match child.name:
            case "VerCT":
                self._version = word(child)
            case "FieldLevel":
                self._field_level = True
            case "Property":
                found = _OpenProperty("")
                for part in child.children:
                    found.take(part)
                self._properties.append(found)
            case "PropName":
                self._properties.append(_OpenProperty(word(child)))
            case _ if self._properties:
                self._properties[-1].take(child)

    def close(self) -> CTCap:
        """The value. 1.1 has the version as the one value of the property VERSION."""
        properties = tuple(found.close() for found in self._properties)
        version = self._version
        if not version:
            version = next((found.values[0] for found in properties if found.name == "VERSION" and len(found.values) == 1), "")
        return CTCap(self._type, version, self._field_level, properties)


def _first(element: Element, name: str) -> str | None:
    """The text of the first child of a name."""
    return next((word(child) for child in element.children if child.name == name), None)


def _texts(element: Element, name: str) -> tuple[str, ...]:
    """The texts of the children of a name."""
    return tuple(text(child) for child in element.children if child.name == name)


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
        out += _flags(UTC=devinf.utc, SupportLargeObjs=devinf.large_objects, SupportNumberOfChanges=devinf.number_of_changes)
    out += [_write_store(store, modern) for store in devinf.datastores]
    if not modern and devinf.ctcaps:
        flat = [part for cap in devinf.ctcaps for part in _write_flat(cap)]
        out.append(Element("CTCap", flat))
    for ext in devinf.exts:
        out.append(Element("Ext", [Element("XNam", text=ext.name), *(Element("XVal", text=value) for value in ext.values)]))
    return Element("DevInf", out)


def _write_store(store: DataStore, modern: bool) -> Element:
    out = [Element("SourceRef", text=store.source_ref)]
    out += _optional("DisplayName", store.display_name)
    out += _optional("MaxGUIDSize", store.max_guid_size)
    for name, preferred, others in (("Rx", store.rx_pref, store.rx), ("Tx", store.tx_pref, store.tx)):
        if preferred is not None:
            out.append(_content_type(f"{name}-Pref", preferred))
        out += [_content_type(name, other) for other in others]
    if modern:
        out += [_write_ctcap(cap) for cap in store.ctcaps]
    if store.mem is not None:
        mem = _flags(SharedMem=store.mem.shared)
        out.append(Element("DSMem", [*mem, *_optional("MaxMem", store.mem.free_mem), *_optional("MaxID", store.mem.free_id)]))
    if modern:
        out += _flags(SupportHierarchicalSync=store.hierarchical)
    out.append(Element("SyncCap", [Element("SyncType", text=kind) for kind in store.sync_types]))
    if modern:
        out += [_content_type("Filter-Rx", kind) for kind in store.filter_rx]
        for cap in store.filter_caps:
            words = [Element("FilterKeyword", text=keyword) for keyword in cap.keywords]
            names = [Element("PropName", text=name) for name in cap.properties]
            head = [Element("CTType", text=cap.type), Element("VerCT", text=cap.version)]
            out.append(Element("FilterCap", head + words + names))
    return Element("DataStore", out)


def _write_ctcap(cap: CTCap) -> Element:
    """CTCap of 1.2."""
    out = [Element("CTType", text=cap.type), Element("VerCT", text=cap.version), *_flags(FieldLevel=cap.field_level)]
    for found in cap.properties:
        parts = [Element("PropName", text=found.name), *_optional("DataType", found.data_type), *_optional("MaxOccur", found.max_occur)]
        parts += [*_optional("MaxSize", found.max_size), *_flags(NoTruncate=found.no_truncate)]
        parts += [Element("ValEnum", text=value) for value in found.values]
        parts += _optional("DisplayName", found.display_name)
        for param in found.params:
            inside = [Element("ParamName", text=param.name), *_optional("DataType", param.data_type)]
            inside += [Element("ValEnum", text=value) for value in param.values]
            parts.append(Element("PropParam", inside + _optional("DisplayName", param.display_name)))
        out.append(Element("Property", parts))
    return Element("CTCap", out)


def _write_flat(cap: CTCap) -> list[Element]:
    """One type of the CTCap of 1.0 and 1.1."""
    out = [Element("CTType", text=cap.type)]
    for found in cap.properties:
        out.append(Element("PropName", text=found.name))
        out += _flat_values(found.values, found.data_type, found.max_size)
        out += _optional("DisplayName", found.display_name)
        for param in found.params:
            out.append(Element("ParamName", text=param.name))
            out += _flat_values(param.values, param.data_type, None)
            out += _optional("DisplayName", param.display_name)
    return out


def _flat_values(values: tuple[str, ...], data_type: str | None, size: int | None) -> list[Element]:
    """Either the values, or a data type with its size."""
    if values:
        return [Element("ValEnum", text=value) for value in values]
    if data_type is None:
        return []
    return [Element("DataType", text=data_type), *_optional("Size", size)]


def _content_type(name: str, kind: ContentType) -> Element:
    return Element(name, [Element("CTType", text=kind.type), Element("VerCT", text=kind.version)])


def _optional(name: str, value: str | int | None) -> list[Element]:
    """An element with a text, or nothing."""
    return [] if value is None else [Element(name, text=str(value))]


def _flags(**flags: bool) -> list[Element]:
    """Empty elements."""
    return [Element(name) for name, on in flags.items() if on]
