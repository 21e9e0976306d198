"""The token tables: which byte on which code page is which element, for each version of SyncML with MetInf, and of DevInf.

Fact sheet sections 11.1 to 11.4 (SyncML Representation Protocol, MetInf and DevInf DTDs, "WBXML tags"). Reading uses the table of 1.2
for every version, as phones mix them; the one token that changed its name, 1C in DevInf, is taken care of by the reader of DevInf.
"""

from __future__ import annotations

import msgspec


def _names(text: str) -> tuple[str, ...]:
    """Names in a row."""
    return tuple(text.split())


_SYNCML_PAGE = _names(
    "Add Alert Archive Atomic Chal Cmd CmdID CmdRef Copy Cred Data Delete Exec Final Get Item Lang LocName LocURI Map MapItem Meta MsgID "
    "MsgRef NoResp NoResults Put Replace RespURI Results Search Sequence SessionID SftDel Source SourceRef Status Sync SyncBody SyncHdr "
    "SyncML Target TargetRef - VerDTD VerProto NumberOfChanges MoreData Field Filter Record FilterType SourceParent TargetParent Move "
    "Correlator"
)
_METINF_PAGE = _names(
    "Anchor EMI Format FreeID FreeMem Last Mark MaxMsgSize Mem MetInf Next NextNonce SharedMem Size Type Version MaxObjSize FieldLevel"
)
_DEVINF_PAGE = _names(
    "CTCap CTType DataStore DataType DevID DevInf DevTyp DisplayName DSMem Ext FwV HwV Man MaxGUIDSize MaxID MaxMem Mod OEM ParamName "
    "PropName Rx Rx-Pref SharedMem MaxSize SourceRef SwV SyncCap SyncType Tx Tx-Pref ValEnum VerCT VerDTD XNam XVal UTC "
    "SupportNumberOfChanges SupportLargeObjs Property PropParam MaxOccur NoTruncate - Filter-Rx FilterCap FilterKeyword FieldLevel "
    "SupportHierarchicalSync"
)
#: The children of Meta.
METINF_NAMES = frozenset(_METINF_PAGE)

_SINCE_1_1 = frozenset(_names("NumberOfChanges MoreData MaxObjSize"))
_SINCE_1_2 = frozenset(_names("Field Filter Record FilterType SourceParent TargetParent Move Correlator"))
_DEVINF_SINCE_1_1 = frozenset(_names("UTC SupportNumberOfChanges SupportLargeObjs"))
_DEVINF_SINCE_1_2 = frozenset(
    _names("Property PropParam MaxOccur MaxSize NoTruncate Filter-Rx FilterCap FilterKeyword FieldLevel SupportHierarchicalSync")
)
#: The lowest token of a tag.
_FIRST = 5


class Language(msgspec.Struct, frozen=True):
    """A document type in one version."""

    public_id: int
    "Of its DTD, as registered."
    formal_id: str
    "The formal public identifier of its DTD."
    tags: dict[str, tuple[int, int]]
    "Code page and token of each element that this version has."
    namespaces: tuple[str, ...]
    "XML namespace of each code page."
    pages: tuple[tuple[str, ...], ...]
    "Names by code page and token, of the newest version: 64 each, empty where there is none."


def _page(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names by token."""
    page = [""] * _FIRST + ["" if name == "-" else name for name in names]
    return tuple(page + [""] * (64 - len(page)))


# kXML-based peers know DevInf as page 2 of SyncML.
_SYNCML_PAGES = (_page(_SYNCML_PAGE), _page(_METINF_PAGE), _page(_DEVINF_PAGE))
_DEVINF_PAGES = (_page(_DEVINF_PAGE),)


def _tags(pages: tuple[tuple[str, ...], ...], without: frozenset[str]) -> dict[str, tuple[int, int]]:
    """Tokens by name."""
    return {name: (number, token) for number, page in enumerate(pages) for token, name in enumerate(page) if name and name not in without}


def _syncml(version: str, public_id: int, without: frozenset[str]) -> Language:
    return Language(
        public_id,
        f"-//SYNCML//DTD SyncML {version}//EN",
        _tags(_SYNCML_PAGES[:2], without),
        (f"SYNCML:SYNCML{version}", "syncml:metinf"),
        _SYNCML_PAGES,
    )


def _devinf(version: str, public_id: int, without: frozenset[str]) -> Language:
    tags = _tags(_DEVINF_PAGES, without)
    if "MaxSize" in without:
        tags["Size"] = (0, _DEVINF_PAGES[0].index("MaxSize"))
    return Language(public_id, f"-//SYNCML//DTD DevInf {version}//EN", tags, ("syncml:devinf",), _DEVINF_PAGES)


#: SyncML with MetInf, by version.
SYNCML = {
    "1.0": _syncml("1.0", 0xFD1, _SINCE_1_1 | _SINCE_1_2 | {"FieldLevel"}),
    "1.1": _syncml("1.1", 0xFD3, _SINCE_1_2 | {"FieldLevel"}),
    "1.2": _syncml("1.2", 0x1201, frozenset()),
}
#: DevInf, by version.
DEVINF = {
    "1.0": _devinf("1.0", 0xFD2, _DEVINF_SINCE_1_1 | _DEVINF_SINCE_1_2),
    "1.1": _devinf("1.1", 0xFD4, _DEVINF_SINCE_1_2),
    "1.2": _devinf("1.2", 0x1203, frozenset()),
}
#: Every language, by its public identifier in either form.
BY_PUBLIC_ID: dict[int | str, Language] = {
    key: language for family in (SYNCML, DEVINF) for language in family.values() for key in (language.public_id, language.formal_id)
}
