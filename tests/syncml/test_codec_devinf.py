"""Device information: every version's shape, and what devices make of it."""

from __future__ import annotations

import pytest

from twsync import wbxml
from twsync.syncml import xmlcodec
from twsync.syncml.devinfcodec import read_devinf, write_devinf
from twsync.syncml.document import (
    ContentType,
    CTCap,
    DataStore,
    DevInf,
    Ext,
    FilterCap,
    Mem,
    Property,
    PropParam,
    Protocol,
)
from twsync.wbxml import DEVINF

CARD = ContentType("text/x-vcard", "2.1")
TEL = Property("TEL", display_name="Phone", params=(PropParam("TYPE", values=("HOME", "WORK")), PropParam("X", "chr", (), "d")))
VERSION = Property("VERSION", values=("2.1",))
FULL_1_2 = DevInf(
    Protocol.V1_2,
    "IMEI:1",
    "phone",
    "Man",
    "Mod",
    "OEM",
    "F",
    "S",
    "H",
    True,
    True,
    True,
    (
        DataStore(
            "./contacts",
            "Contacts",
            32,
            CARD,
            (ContentType("text/vcard", "3.0"),),
            CARD,
            (),
            (CTCap("text/x-vcard", "2.1", True, (VERSION, TEL, Property("PHOTO", "bin", 1, 256, True))),),
            Mem(1000, 10, True),
            True,
            ("1", "2", "7"),
            (ContentType("syncml:filtertype-cgi", "1.0"),),
            (FilterCap("text/x-vcard", "2.1", ("SINCE",), ("TEL", "N")),),
        ),
    ),
    (),
    (Ext("X-one", ("a", "b")), Ext("X-none")),
)
FULL_1_1 = DevInf(
    Protocol.V1_1,
    "d",
    datastores=(DataStore("c", rx_pref=CARD, tx_pref=CARD, sync_types=("1",)),),
    ctcaps=(
        CTCap("text/x-vcard", "2.1", False, (VERSION, TEL, Property("NOTE", "chr", max_size=99))),
        CTCap("text/plain", "", False, (Property("BODY"),)),
    ),
    utc=True,
)


def parse(text: str, protocol: Protocol = Protocol.V1_2) -> DevInf:
    return read_devinf(xmlcodec.parse(text.encode()), protocol)


@pytest.mark.parametrize("devinf", [FULL_1_2, FULL_1_1, DevInf(Protocol.V1_0, "d", "pda"), FULL_1_1], ids=["1.2", "1.1", "1.0", "again"])
def test_there_and_back(devinf: DevInf) -> None:
    root = write_devinf(devinf)
    known = devinf
    if devinf.version is Protocol.V1_2:
        assert read_devinf(root, Protocol.V1_0) == known
    octets = wbxml.encode(root, DEVINF[devinf.version])
    assert read_devinf(wbxml.decode(octets, DEVINF["1.2"]).root, devinf.version) == known
    assert read_devinf(xmlcodec.parse(xmlcodec.part(root, devinf.version)), devinf.version) == known


def test_needed_by_1_2() -> None:
    """Empty ones make phones fail."""
    read = read_devinf(write_devinf(DevInf(Protocol.V1_2, "d")), Protocol.V1_2)
    assert {read.manufacturer, read.model, read.firmware, read.software, read.hardware} == {"unknown"}


def test_what_older_versions_do_not_have_is_left_out() -> None:
    """It is advice, and an old device information says less."""
    for version in (Protocol.V1_0, Protocol.V1_1):
        old = DevInf(version, "d", utc=True, large_objects=True, number_of_changes=True, datastores=FULL_1_2.datastores)
        octets = wbxml.encode(write_devinf(old), DEVINF[version])
        read = read_devinf(wbxml.decode(octets, DEVINF["1.2"]).root, version)
        assert read.utc == read.large_objects == read.number_of_changes == (version is Protocol.V1_1)
        (store,) = read.datastores
        assert (store.source_ref, store.ctcaps, store.hierarchical, store.filter_caps) == ("./contacts", (), False, ())


def test_nokia() -> None:
    """ParamName straight in Property, CTCap behind SyncCap, line feeds in FwV, empty OEM (fact sheet section 10)."""
    devinf = parse(
        "<DevInf><OEM/><FwV>V 1\n2\n</FwV><DevID>IMEI:35</DevID><DataStore><SyncCap><SyncType>01</SyncType></SyncCap>"
        "<SourceRef>./C:Contacts.cdb</SourceRef><CTCap><CTType>text/x-vcard</CTType><VerCT>2.1</VerCT><Property><ValEnum>a</ValEnum>"
        "<PropName>TEL</PropName><Size>256</Size><ParamName>TYPE</ParamName><ValEnum>HOME</ValEnum><ParamName>CELL</ParamName></Property>"
        "</CTCap></DataStore></DevInf>"
    )
    assert (devinf.version, devinf.oem, devinf.firmware) == (Protocol.V1_2, "", "V 1\n2")
    params = (PropParam("TYPE", values=("HOME",)), PropParam("CELL"))
    cap = CTCap("text/x-vcard", "2.1", False, (Property("TEL", max_size=256, values=("a",), params=params),))
    assert devinf.datastores == (DataStore("./C:Contacts.cdb", ctcaps=(cap,), sync_types=("01",)),)


def test_several_flat_ctcaps() -> None:
    """Some write one for each type; Size without DataType is taken."""
    devinf = parse(
        "<DevInf><VerDTD>1.1</VerDTD><CTCap><PropName>lost</PropName><CTType>a</CTType><ValEnum>lost</ValEnum><PropName>P</PropName>"
        "<Size>5</Size></CTCap><CTCap><CTType>b</CTType></CTCap></DevInf>"
    )
    assert devinf.ctcaps == (CTCap("a", properties=(Property("P", max_size=5),)), CTCap("b"))


@pytest.mark.parametrize("text", ["<DevInf/>", "<DevInf><DataStore/><CTCap/><Ext/><VerDTD>9</VerDTD></DevInf>"])
def test_nearly_nothing(text: str) -> None:
    devinf = parse(text, Protocol.V1_1)
    assert (devinf.version, devinf.device_id, devinf.device_type) == (Protocol.V1_1, "", "workstation")
