"""The edge between what is stored and what travels: the forms that a partner takes, what it can store, its times.

Another twsync host gets and gives the stored form as it is.
"""

from __future__ import annotations

from twsync import records
from twsync.errors import FormatError
from twsync.records import Capabilities, Family, Form
from twsync.store.recordtexts import Text
from twsync.syncml.datastore import Peer, Record
from twsync.syncml.document import ContentType, CTCap, DataStore, Property, PropParam


class Edge:
    """One partner and one family."""

    def __init__(self, family: Family, peer: Peer, zone: str) -> None:
        """For one session.

        :param zone: IANA name of the time zone of times that say none.
        """
        self._family = family
        self._peer = peer
        self._zone = zone
        self._utc = peer.devinf is None or peer.devinf.utc
        self._seen: Form | None = None

    def incoming(self, record: Record, *, partial: bool = False) -> Text:
        """The stored form of what came.

        :param partial: it is a part of an item, for `completed`: nothing is made up for what it does not name.
        :raises FormatError: it is no record of this family.
        """
        if self._peer.twsync:
            return Text.of(self._family, _text(record.data))
        text = records.from_wire(self._family, record.type, record.data, zone=self._zone, partial=partial)
        self._seen = self._form(record.type) or self._seen
        return Text.of(self._family, text)

    def completed(self, kept: Text, came: Text, *, partial: bool = False) -> Text:
        """What came, with what of `kept` the device cannot store.

        :param partial: what it does not name stays.
        """
        if self._peer.twsync and not partial:
            return came
        form = self._outgoing_form()
        text = records.overlay(
            self._family,
            kept.text,
            came.text,
            form=form,
            capabilities=self._capabilities(form),
            utc=self._utc,
            zone=self._zone,
            partial=partial,
        )
        return came if text == came.text else Text.of(self._family, text)

    def outgoing(self, text: Text, version: bytes) -> Record:
        """What travels."""
        if self._peer.twsync:
            return Record(records.forms(self._family)[0].type, text.text, version)
        form = self._outgoing_form()
        data = records.to_wire(self._family, text.text, form, capabilities=self._capabilities(form), utc=self._utc, zone=self._zone)
        return Record(form.type, data)

    # --- what the device says of itself

    def _outgoing_form(self) -> Form:
        """What it likes best of what we have (fact sheet section 13); if it says nothing, what it sends itself."""
        store = self._peer.datastore
        if store is not None:
            for wanted in (*([store.rx_pref] if store.rx_pref else []), *store.rx):
                form = self._form(wanted.type, wanted.version)
                if form is not None:
                    return form
        return self._seen or records.forms(self._family)[0]

    def _form(self, type: str, version: str = "") -> Form | None:
        try:
            return records.form_of(self._family, type, version)
        except FormatError:
            return None

    def _capabilities(self, form: Form) -> Capabilities | None:
        own = self._peer.datastore.ctcaps if self._peer.datastore is not None else ()
        whole = self._peer.devinf.ctcaps if self._peer.devinf is not None else ()
        for ctcap in (*own, *whole):
            if ctcap.properties and self._form(ctcap.type, ctcap.version) == form:
                return records.capabilities(ctcap.properties)
        return None


def describe(name: str, family: Family) -> DataStore:
    """The entry of a collection for the own device information."""
    forms = records.forms(family)
    types = tuple(ContentType(form.type, form.version) for form in forms)
    # Without FieldLevel, though parts of items are taken: SyncEvolution's parser gives up the whole message over it.
    ctcaps = tuple(
        CTCap(form.type, form.version, properties=tuple(_property(one) for one in told))
        for form in forms
        # A CTCap has to name a property, and plain text has none.
        if (told := records.properties(family, form))
    )
    return DataStore(
        name,
        display_name=name,
        rx_pref=types[0],
        rx=types[1:],
        tx_pref=types[0],
        tx=types[1:],
        ctcaps=ctcaps,
        sync_types=tuple("1234567"),
    )


def _property(one: records.PropertyCapability) -> Property:
    params = tuple(PropParam(param.name, values=param.values) for param in one.params)
    return Property(one.name, values=one.values, params=params, max_size=one.max_size, max_occur=one.max_occur, no_truncate=one.no_truncate)


def _text(data: str | bytes) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("A record is not UTF-8 text.") from error
