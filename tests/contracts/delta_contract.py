"""What every implementation of the delta core must do, whichever makes the streams and whichever applies them."""

from __future__ import annotations

import io
import random
import struct
from array import array
from collections.abc import Callable, Iterator
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xxhash

from twsync import limits
from twsync.delta.format import DeltaStats, check_signature, varint
from twsync.errors import FormatError

if TYPE_CHECKING:
    from twsync.delta.interface import Backend

VECTORS = Path(__file__).parent.parent / "vectors" / "delta"


class Drip(io.RawIOBase):
    """A pipe: no seeking, and each read gives a few bytes only."""

    def __init__(self, data: bytes, most: int) -> None:
        self._rest = memoryview(data)
        self._most = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        part = self._rest[: min(len(buffer), self._most)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)


class OnlyRead:
    """The least that a binary file can be."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class Partly(io.BytesIO):
    """An unbuffered file that takes at most seven bytes at once."""

    def write(self, data) -> int:
        return super().write(data[:7])


def noise(size: int, seed: int = 0) -> bytes:
    """The same random bytes in every run."""
    return random.Random(seed).randbytes(size)


def signature_by_definition(old: bytes, block_length: int, seed: int, strong_length: int = 4) -> bytes:
    """A signature, written down as docs/protocol/delta-format.md says it."""
    out = b"\x89twsig2\n" + struct.pack(">IBQ", block_length, strong_length, seed)
    blocks = [old[start : start + block_length] for start in range(0, len(old), block_length)]
    for block in blocks:
        s1 = sum(block) % 65536
        s2 = sum((len(block) - place) * byte for place, byte in enumerate(block)) % 65536
        out += struct.pack(">I", s1 | s2 << 16) + xxhash.xxh64_digest(block, seed)[:strong_length]
    out += b"\0end" + struct.pack(">QI", len(old), len(blocks))
    return out + struct.pack(">Q", xxhash.xxh64_intdigest(out, 0))


def forged_signature(block_length: int, entries: list[tuple[int, int]], length: int, blocks: int | None = None) -> bytes:
    """A signature with a good checksum that may lie in everything else."""
    out = b"\x89twsig2\n" + struct.pack(">IBQ", block_length, 8, 0) + b"".join(struct.pack(">IQ", *entry) for entry in entries)
    out += b"\0end" + struct.pack(">QI", length, len(entries) if blocks is None else blocks)
    return out + struct.pack(">Q", xxhash.xxh64_intdigest(out, 0))


def forged_delta(
    old_length: int, ops: list[tuple[int, ...] | bytes], output: bytes, total: int | None = None, block_length: int = 1
) -> bytes:
    """A delta stream with good checksums; `ops` are (first block, blocks) copies, literal bytes, or raw bytes in a one-tuple.

    :param output: what the checksum of the output is made of: literal bytes, and the sums of copied blocks.
    """
    frame = b"\x89twdel2\n" + struct.pack(">QIQ", 0, block_length, old_length)
    stream = frame
    for op in ops:
        if isinstance(op, bytes):
            head = b"\x01" + varint(len(op))
            stream += head + op
        else:
            head = op[0] if isinstance(op[0], bytes) else b"\x02" + varint(op[0]) + varint(op[1])
            stream += head
        frame += head
    end = b"\0" + struct.pack(">QQ", len(output) if total is None else total, xxhash.xxh64_intdigest(output, 0))
    return stream + end + struct.pack(">Q", xxhash.xxh64_intdigest(frame + end, 0))


def operations(stream: bytes) -> list[tuple[int, int] | bytes]:
    """The operations of a good delta stream: (offset, length) of a copy, or literal bytes."""
    block_length, old_length = struct.unpack(">IQ", stream[16:28])
    place = 28
    found: list[tuple[int, int] | bytes] = []

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            digit = stream[place]
            place += 1
            value |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                return value

    while stream[place]:
        place += 1
        if stream[place - 1] == 1:
            length = number()
            found.append(stream[place : place + length])
            place += length
        else:
            first, count = number(), number()
            found.append((first * block_length, min(count * block_length, old_length - first * block_length)))
    assert len(stream) == place + 25
    return found


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """The bytes in portions."""
    return (data[start : start + size] for start in range(0, len(data), size))


#: old, new, block length
PAIRS = {
    "both empty": (b"", b"", 16),
    "old empty": (b"", b"something", 16),
    "new empty": (b"something", b"", 4),
    "same, one short block": (b"abc", b"abc", 16),
    "same, whole blocks": (noise(64), noise(64), 16),
    "same, short last block": (noise(70), noise(70), 16),
    "new shorter than a block": (noise(64), noise(64)[:7], 16),
    "new is the last block": (noise(70), noise(70)[-6:], 16),
    "byte put in front": (noise(300), b"x" + noise(300), 16),
    "byte cut off": (noise(300), noise(300)[1:], 16),
    "appended": (noise(70), noise(70) + b"more", 16),
    "appended a lot": (noise(70), noise(70) + noise(200, 1), 16),
    "byte altered": (noise(300), noise(300)[:100] + b"?" + noise(300)[101:], 16),
    "halves swapped": (noise(320), noise(320)[160:] + noise(320)[:160], 16),
    "nothing alike": (noise(300), noise(300, 1), 16),
    "zeros, fewer": (bytes(1000), bytes(700), 16),
    "zeros, more": (bytes(700), bytes(10000), 16),
    "zeros in between": (noise(64) + bytes(64) + noise(64, 1), noise(64) + bytes(640) + noise(64, 1), 16),
    "block of one byte": (b"abcabc", b"cbaabcx", 1),
    "block as long as old": (noise(32), noise(10, 1) + noise(32) + noise(10, 2), 32),
    "block longer than old": (noise(32), noise(32) + b"!", limits.MAX_BLOCK_LENGTH),
    "period of a block and a bit": (noise(20) * 8, noise(20) * 30, 16),
}


class DeltaContract:
    """Subclasses name the implementation that makes streams and the one that applies them."""

    MAKE = ""
    APPLY = ""

    @pytest.fixture
    def make(self, core: Callable[[str], Backend]) -> Backend:
        return core(self.MAKE)

    @pytest.fixture
    def apply(self, core: Callable[[str], Backend]) -> Backend:
        return core(self.APPLY)

    def signature(self, make: Backend, old, block_length: int | None = None, seed: int = 0) -> bytes:
        return b"".join(make.signature_chunks(old, block_length, seed))

    def patched(self, apply: Backend, old, ops, **options) -> bytes:
        out = io.BytesIO()
        apply.patch(old, ops, out, **options)
        return out.getvalue()

    @pytest.mark.parametrize("name", PAIRS)
    def test_round_trip(self, make: Backend, apply: Backend, name: str) -> None:
        """Whatever the pair of files, the patched file is the new one, in memory and from files."""
        old, new, block_length = PAIRS[name]
        signature = self.signature(make, old, block_length, 7)
        assert signature == signature_by_definition(old, block_length, 7)
        stats = DeltaStats()
        stream = b"".join(make.delta(signature, new, stats=stats))
        assert stats.literal_bytes + stats.matched_bytes == len(new)
        out = io.BytesIO()
        done = apply.patch(old, [stream], out)
        assert out.getvalue() == new
        assert (done.literal_bytes, done.matched_bytes) == (stats.literal_bytes, stats.matched_bytes)
        assert b"".join(make.delta(signature, io.BytesIO(new))) == stream
        assert self.patched(apply, io.BytesIO(old), [stream]) == new

    @pytest.mark.parametrize("name", sorted(path.name for path in VECTORS.glob("*.hex")))
    def test_golden(self, make: Backend, apply: Backend, name: str) -> None:
        """Both formats are what they were when the vectors were written."""
        fields = dict(line.split(": ") for line in (VECTORS / name).read_text().replace(":\n", ": \n").splitlines() if line[:1] != "#")
        old, new, signature, stream = (bytes.fromhex(fields[key]) for key in ("old", "new", "signature", "delta"))
        assert self.signature(make, old, int(fields["block_length"]), int(fields["seed"])) == signature
        assert b"".join(make.delta(signature, new)) == stream
        assert self.patched(apply, old, [stream]) == new

    @pytest.mark.parametrize("most", [1, 2, 3, 15, 16, 17, 100])
    def test_input_in_any_portions(self, make: Backend, apply: Backend, most: int) -> None:
        """Pipes that give a few bytes at a time, and a stream cut anywhere, change nothing."""
        old, new, _ = PAIRS["appended a lot"]
        signature = self.signature(make, old, 16)
        assert self.signature(make, Drip(old, most), 16) == signature
        stream = b"".join(make.delta(signature, new))
        assert b"".join(make.delta(signature, Drip(new, most))) == stream
        assert self.patched(apply, old, cut(stream, most)) == new
        assert self.patched(apply, old, [b"", *cut(stream, most), b""]) == new

    def test_kinds_of_bytes_and_files(self, make: Backend, apply: Backend, tmp_path: Path) -> None:
        """Anything that is bytes or reads as bytes will do."""
        old, new, _ = PAIRS["halves swapped"]
        signature = self.signature(make, old, 16)
        stream = b"".join(make.delta(signature, new))
        (tmp_path / "old").write_bytes(old)
        with open(tmp_path / "old", "r+b") as file, mmap(file.fileno(), 0) as mapped:
            for form in (bytearray(old), memoryview(old), array("I", old), OnlyRead(old), mapped):
                assert self.signature(make, form, 16) == signature
            assert self.patched(apply, mapped, [bytearray(stream)]) == new
        with open(tmp_path / "old", "rb", buffering=0) as file:
            assert self.patched(apply, file, [memoryview(stream)]) == new
        for form in (bytearray(new), memoryview(new), array("I", new), OnlyRead(new)):
            assert b"".join(make.delta(bytearray(signature), form)) == stream
        for form in ("text", 5, None):
            with pytest.raises(TypeError):
                self.signature(make, form)

    def test_file_is_read_from_where_it_stands(self, make: Backend) -> None:
        """A file's first bytes can be left out."""
        file = io.BytesIO(b"skipped" + noise(100))
        file.seek(7)
        signature = self.signature(make, file, 16)
        assert signature == self.signature(make, noise(100), 16)
        file.seek(7)
        assert self.signature(make, file) == self.signature(make, noise(100))

    def test_output_taken_in_parts(self, make: Backend, apply: Backend) -> None:
        """An unbuffered output may take fewer bytes than it is given."""
        old, new, _ = PAIRS["byte altered"]
        out = Partly()
        apply.patch(old, make.delta(self.signature(make, old, 16), new), out)
        assert out.getvalue() == new

    def test_larger_than_the_window(self, make: Backend, apply: Backend, tmp_path: Path) -> None:
        """Literal runs and copies that reach over several windows; chunks stay within their limit; runs are merged."""
        old = noise(3_000_000)
        new = old[:1_400_001] + noise(700_000, 1) + old[1_400_001:] + b"end"
        (tmp_path / "new").write_bytes(new)
        (tmp_path / "old").write_bytes(old)
        signature = self.signature(make, old, 4096)
        stats = DeltaStats()
        with open(tmp_path / "new", "rb", buffering=0) as file:
            chunks = list(make.delta(signature, file, stats=stats))
        assert max(map(len, chunks)) <= limits.MAX_DELTA_CHUNK
        stream = b"".join(chunks)
        assert stream == b"".join(make.delta(signature, new))
        ops = operations(stream)
        assert [op for op in ops if isinstance(op, tuple)] == [(0, 1_400_001 // 4096 * 4096), (342 * 4096, 3_000_000 - 342 * 4096)]
        assert max(len(op) for op in ops if isinstance(op, bytes)) == limits.MAX_LITERAL
        assert stats.literal_bytes < 700_000 + 2 * 4096
        with open(tmp_path / "old", "rb", buffering=0) as file, open(tmp_path / "out", "wb", buffering=0) as out:
            apply.patch(file, chunks, out)
        assert (tmp_path / "out").read_bytes() == new

    def test_default_block_length(self, make: Backend) -> None:
        """Without a wish the block length goes by the size; a stream of unknown length gets a long one."""
        assert check_signature(self.signature(make, bytes(4_000_000))).block_length == 1024
        assert check_signature(self.signature(make, io.BytesIO(bytes(4_000_000)))).block_length == 1024
        assert check_signature(self.signature(make, Drip(bytes(1000), 100))).block_length == 32 * 1024

    @pytest.mark.parametrize("piece", [1000, 1024, 262_144, 700_000, 3_000_000])
    def test_signature_of_what_comes(self, make: Backend, piece: int) -> None:
        """A signature that is made piece by piece is that of the whole, however many chunks it has."""
        content = noise(2_500_000)
        signing = make.signing(64, 5, 9)
        for at in range(0, len(content), piece):
            signing.update(memoryview(content)[at : at + piece])
        assert signing.finish() == b"".join(make.signature_chunks(content, 64, 9, strong_length=5))

    def test_wrong_arguments(self, make: Backend) -> None:
        """They are refused at once, not when the iterator is read."""
        for block_length in (0, -1, limits.MAX_BLOCK_LENGTH + 1):
            with pytest.raises(ValueError, match="block length"):
                make.signature_chunks(b"", block_length)
        for strong_length in (-1, 0, 3, 9):
            with pytest.raises(ValueError, match="strong length"):
                make.signature_chunks(b"", 16, strong_length=strong_length)
        for seed in (-1, 2**64):
            with pytest.raises(ValueError, match="seed"):
                make.signature_chunks(b"", 16, seed)
        with pytest.raises(FormatError):
            make.delta(b"", b"")

    @pytest.mark.parametrize("strong_length", range(4, 9))
    def test_strong_lengths(self, make: Backend, apply: Backend, strong_length: int) -> None:
        """A signature holds the first bytes of the strong sums; the delta is the same whatever their number."""
        old, new, _ = PAIRS["byte altered"]
        signature = b"".join(make.signature_chunks(old, 16, 5, strong_length=strong_length))
        assert signature == signature_by_definition(old, 16, 5, strong_length)
        assert len(signature) == 45 + 19 * (4 + strong_length)
        stream = b"".join(make.delta(signature, new))
        assert stream == b"".join(make.delta(signature_by_definition(old, 16, 5, 8), new))
        assert self.patched(apply, old, [stream]) == new

    def test_false_match_is_found(self, make: Backend, apply: Backend) -> None:
        """A block that only looks like one of the old file, because the signature says so, is refused by the patch."""
        old, new = noise(64), noise(64, 1)
        lie = signature_by_definition(new, 16, 0)
        stream = b"".join(make.delta(lie, new))
        assert operations(stream) == [(0, 64)]
        with pytest.raises(FormatError, match="not those of the new file"):
            self.patched(apply, old, [stream])

    def test_proof_by_the_caller(self, make: Backend, apply: Backend) -> None:
        """A caller that proves the new file by itself is given all of it, in order; then only the stream has to be unaltered."""
        old, new, _ = PAIRS["byte altered"]
        stream = b"".join(make.delta(self.signature(make, old, 16), new))
        for ops in ([stream], cut(stream, 1)):
            out, proved = io.BytesIO(), bytearray()
            done = apply.patch(old, ops, out, prove=proved.extend)
            assert out.getvalue() == new == proved
            assert (done.literal_bytes, done.matched_bytes) == (16, 284)
        other = bytes(byte ^ 1 for byte in old)
        out, proved = io.BytesIO(), bytearray()
        apply.patch(io.BytesIO(other), [stream], out, prove=proved.extend)
        assert out.getvalue() == proved != new
        for wrong in (stream[:-9] + b"x" + stream[-8:], stream[:-1], stream + b"x"):
            with pytest.raises(FormatError):
                apply.patch(old, [wrong], io.BytesIO(), prove=len)
        with pytest.raises(FormatError, match="shorter"):
            apply.patch(io.BytesIO(old[:100]), [stream], io.BytesIO(), prove=len)

    def test_economy(self, make: Backend) -> None:
        """The number of operations: one copy for equal files, one literal for an insertion, and no block lost beside an edit."""

        def ops(old: bytes, new: bytes) -> list[tuple[int, int] | bytes]:
            return operations(b"".join(make.delta(self.signature(make, old, 16), new)))

        old = noise(170)
        assert ops(old, old) == [(0, 170)]
        assert ops(old, old[:48] + b"hello" + old[48:]) == [(0, 48), b"hello", (48, 122)]
        assert ops(old, old[:48] + old[64:]) == [(0, 48), (64, 106)]
        assert ops(old, old + b"hello") == [(0, 170), b"hello"]
        assert ops(old, old + old) == [(0, 170), (0, 170)]
        assert ops(old, b"hello" + old[-10:]) == [b"hello", (160, 10)]
        assert ops(old, old[32:48] + b"?" + old[160:]) == [(32, 16), b"?", (160, 10)]
        # A block replaced inside a run of equal blocks: the copy goes on where it would stand, not at the first equal block.
        assert ops(bytes(160), bytes(64) + noise(16) + bytes(80)) == [(0, 64), noise(16), (80, 80)]
        assert ops(bytes(160), bytes(64) + b"hello" + bytes(96)) == [(0, 64), b"hello", (64, 96)]

    def test_every_altered_signature(self, make: Backend) -> None:
        """Each bit altered, each length cut, bytes put in front, inside or behind: refused before anything is searched."""
        good = self.signature(make, noise(50), 16, 3)
        for place in range(len(good)):
            for bit in range(8):
                bad = bytearray(good)
                bad[place] ^= 1 << bit
                with pytest.raises(FormatError):
                    make.delta(bytes(bad), b"")
            for bad in (good[:place], good[:place] + b"\0" + good[place:], good[:place] + good[place + 1 :], good[place + 1 :]):
                with pytest.raises(FormatError):
                    make.delta(bad, b"")
        for more in (b"\0", b"\n", good, good[:12]):
            with pytest.raises(FormatError):
                make.delta(good + more, b"")

    def test_every_altered_delta(self, make: Backend, apply: Backend) -> None:
        """Each bit altered, each length cut, bytes put in or behind: refused, also where the output would be the same."""
        old = bytes(64) + noise(64)
        good = b"".join(make.delta(self.signature(make, old, 16, 3), bytes(48) + b"literal" + noise(64) + b"x"))
        for place in range(len(good)):
            for bit in range(8):
                bad = bytearray(good)
                bad[place] ^= 1 << bit
                with pytest.raises(FormatError):
                    self.patched(apply, old, [bytes(bad)])
            for bad in (good[:place], good[:place] + b"\0" + good[place:], good[:place] + good[place + 1 :], good[place + 1 :]):
                if bad != good:
                    with pytest.raises(FormatError):
                        self.patched(apply, old, [bad])
        for more in (b"\0", b"\n", good, b"\x01\x01x"):
            with pytest.raises(FormatError, match="follow its end"):
                self.patched(apply, old, [good + more])
            with pytest.raises(FormatError, match="follow its end"):
                self.patched(apply, old, [good, more])

    @pytest.mark.parametrize(
        ("block_length", "entries", "length", "blocks"),
        [
            (0, 0, 0, 0),
            (limits.MAX_BLOCK_LENGTH + 1, 1, 5, 1),
            (2**32 - 1, 1, 5, 1),
            (16, 2, 33, 2),
            (16, 3, 32, 3),
            (16, 2, 32, 3),
            (16, 2, 32, 2**32 - 1),
            (16, 0, 2**64 - 1, 0),
            (1, 3, 2**63, 3),
        ],
    )
    def test_lying_signature(self, make: Backend, block_length: int, entries: int, length: int, blocks: int) -> None:
        """Good checksums do not help numbers that are out of bounds or contradict each other."""
        with pytest.raises(FormatError):
            make.delta(forged_signature(block_length, [(0, 0)] * entries, length, blocks), b"")

    def test_signature_limits(self, make: Backend) -> None:
        """The largest signature is taken, a larger one is not even parsed."""
        most = limits.MAX_SIGNATURE_BLOCKS
        assert most * 12 + 45 <= limits.MAX_SIGNATURE < (most + 1) * 12 + 45
        with pytest.raises(FormatError, match="more than"):
            make.delta(bytes(limits.MAX_SIGNATURE + 1), b"")

    @pytest.mark.parametrize(
        ("ops", "why"),
        [
            ([(0, 101)], "beyond the end"),
            ([(100, 1)], "beyond the end"),
            ([(2**63 - 1, 2**63 - 1)], "beyond the end"),
            ([(1, 2**63 - 1)], "beyond the end"),
            ([(b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01",)], "too long"),
            ([(b"\x02\x00" + b"\xff" * 20,)], "too long"),
            ([(b"\x02\x80\x00\x01",)], "shortest form"),
            ([(b"\x01\x00",)], "no bytes"),
            ([(b"\x02\x00\x00",)], "no bytes"),
            ([(b"\x01" + varint(limits.MAX_LITERAL + 1),)], "literal is too long"),
            ([(b"\x03",)], "unknown operation"),
            ([(b"\xff",)], "unknown operation"),
            ([(0, 100)] * 100, "more than is allowed"),
            ([(0, 100), b"x" * 5000], "more than is allowed"),
        ],
    )
    def test_lying_delta(self, apply: Backend, ops: list[tuple[int, ...]], why: str) -> None:
        """Good checksums do not help operations that reach out of bounds; the old file is longer than the stream says."""
        for old in (noise(1000), io.BytesIO(noise(1000))):
            with pytest.raises(FormatError, match=why):
                self.patched(apply, old, [forged_delta(100, ops, b"")], max_output=5000)

    def test_lying_totals(self, apply: Backend) -> None:
        """Header and trailer are checked too."""
        sums = b"".join(xxhash.xxh64_digest(byte, 0) for byte in (b"a", b"b", b"c"))
        assert self.patched(apply, b"abc", [forged_delta(3, [(0, 3)], sums, total=3)]) == b"abc"
        with pytest.raises(FormatError, match="block length"):
            self.patched(apply, b"abc", [forged_delta(3, [], b"", block_length=0)])
        with pytest.raises(FormatError, match="block length"):
            self.patched(apply, b"abc", [forged_delta(3, [], b"", block_length=limits.MAX_BLOCK_LENGTH + 1)])
        with pytest.raises(FormatError, match="out of bounds"):
            self.patched(apply, b"", [forged_delta(2**63, [], b"")])
        with pytest.raises(FormatError, match="as many bytes"):
            self.patched(apply, b"abc", [forged_delta(3, [(0, 3)], sums, total=4)])
        with pytest.raises(FormatError, match="not those of the new file"):
            self.patched(apply, b"abc", [forged_delta(3, [(0, 3)], b"abd")])

    def test_wrong_old_file(self, make: Backend, apply: Backend) -> None:
        """A delta applied to another file than it was made for is refused: altered or cut short."""
        old = noise(300)
        stream = b"".join(make.delta(self.signature(make, old, 16), old + b"x"))
        for wrong in (old[:100] + b"?" + old[101:], noise(300, 1), old[:299], b""):
            for form in (wrong, io.BytesIO(wrong)):
                with pytest.raises(FormatError):
                    self.patched(apply, form, [stream])
        assert self.patched(apply, old + b"appended since", [stream]) == old + b"x"

    def test_output_limit(self, make: Backend, apply: Backend) -> None:
        """A stream that writes more than is allowed is refused before it does."""
        stream = b"".join(make.delta(self.signature(make, bytes(64), 16), bytes(100_000)))
        assert self.patched(apply, bytes(64), [stream], max_output=100_000) == bytes(100_000)
        out = io.BytesIO()
        with pytest.raises(FormatError, match="more than is allowed"):
            apply.patch(bytes(64), [stream], out, max_output=99_999)
        assert len(out.getvalue()) <= 99_999

    def test_zero_runs_cost_a_look_up_a_block(self, make: Backend) -> None:
        """All zeros: the search jumps by blocks, and equal blocks stand in the table once."""
        stats = DeltaStats()
        stream = b"".join(make.delta(self.signature(make, bytes(64 * 100), 64), bytes(640_000), stats=stats))
        assert len(operations(stream)) == 100
        assert stats.candidates == stats.compared == 99
        assert stats.matched_bytes == 640_000

    def test_few_distinct_blocks(self, make: Backend) -> None:
        """Thousands of blocks of three kinds: one comparison for each block that does not follow the last."""
        kinds = [noise(64, seed) for seed in range(3)]
        choice = random.Random(5)
        old = b"".join(choice.choices(kinds, k=3000))
        new = b"".join(choice.choices(kinds, k=1000))
        stats = DeltaStats()
        list(make.delta(self.signature(make, old, 64), new, stats=stats))
        assert stats.matched_bytes == len(new)
        assert stats.compared <= 1000

    def test_one_weak_sum_for_all_blocks(self, make: Backend) -> None:
        """Thousands of blocks with the weak sum of every window, none equal: the work is a constant factor of the new file."""
        block_length, size = 1000, 60_000
        signature = forged_signature(block_length, [(0, number) for number in range(3000)], 3_000_000)
        stats = DeltaStats()
        list(make.delta(signature, bytes(size), stats=stats))
        assert stats.candidates == size - block_length + 1
        assert stats.compared <= limits.MAX_BLOCK_CANDIDATES * stats.false_hits
        hashed = stats.false_hits * block_length
        assert hashed <= size * limits.CONFIRM_BYTES_PER_BYTE + limits.CONFIRM_BURST_BLOCKS * block_length
        assert stats.false_hits + stats.passed_over == stats.candidates
        assert stats.literal_bytes == size

    def test_search_recovers_from_hostile_weak_sums(self, make: Backend) -> None:
        """After a stretch of false hits real matches are found again."""
        block = noise(1000)
        real = signature_by_definition(block, 1000, 0, 8)[21:33]
        entries = [(0, number) for number in range(10)] + [struct.unpack(">IQ", real)]
        stats = DeltaStats()
        new = bytes(60_000) + noise(5000, 1) + block
        list(make.delta(forged_signature(1000, entries, 11_000), new, stats=stats))
        assert stats.passed_over > 0
        assert stats.matched_bytes == 1000

    def test_iterator_can_be_left(self, make: Backend) -> None:
        """A caller that stops half-way leaves nothing behind, and two searches do not disturb each other."""
        signature = self.signature(make, noise(100_000), 64)
        new = noise(1_000_000, 1)
        left, whole = make.delta(signature, new), make.delta(signature, new)
        next(left)
        first = next(whole)
        left.close()
        assert first + b"".join(whole) == b"".join(make.delta(signature, new))
