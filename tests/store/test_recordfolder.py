"""Names of new records."""

from __future__ import annotations

from twsync.records import Family
from twsync.store.recordfolder import RecordFolder
from twsync.store.recordtexts import Text

CARD = Text.of(Family.CONTACTS, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:same\r\nFN:A\r\nN:A\r\nEND:VCARD\r\n")


class Full(RecordFolder):
    """A folder that knows only which names are taken."""

    def __init__(self, taken):
        self.family = Family.CONTACTS
        self.taken = set(taken)
        self.looks = 0

    def free(self, wanted, taken):
        self.looks += 1
        key = wanted.encode()
        return None if key in self.taken else key

    def name_one(self):
        key = self.name(CARD, lambda _: False)
        self.taken.add(key)
        return key


def test_records_of_one_uid_are_numbered_in_few_looks():
    folder = Full([])
    names = [folder.name_one() for _ in range(1000)]
    assert names == [b"same.vcf", *(b"same-%d.vcf" % number for number in range(2, 1001))]
    assert folder.looks < 1000 * 24


def test_a_gap_is_no_trouble():
    folder = Full([b"same.vcf", b"same-2.vcf", b"same-4.vcf"])
    assert [folder.name_one() for _ in range(2)] == [b"same-5.vcf", b"same-6.vcf"]
