"""Both implementations write the same bytes and count the same events, for whatever files."""

from __future__ import annotations

import gc
import io
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from delta_contract import Drip, forged_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync import limits
from twsync.delta.format import DeltaStats, check_signature
from twsync.errors import FormatError, UserError


@st.composite
def file_pairs(draw) -> tuple[bytes, bytes]:
    """An old file, and a new one made of its parts and of other bytes; a small alphabet gives many equal blocks."""
    letters = st.sampled_from(draw(st.sampled_from([b"\0", b"\0\xff", b"abcd", bytes(range(256))])))
    text = st.lists(letters, max_size=400).map(bytes)
    old = draw(text)
    part = st.tuples(st.integers(0, len(old)), st.integers(0, len(old))).map(lambda ends: old[min(ends) : max(ends)])
    return old, b"".join(draw(st.lists(part | st.lists(letters, max_size=50).map(bytes), max_size=6)))


@settings(max_examples=250)
@given(pair=file_pairs(), block_length=st.integers(1, 70), seed=st.integers(0, 2**64 - 1), size=st.integers(1, 300))
def test_same_bytes_and_same_counts(core, pair: tuple[bytes, bytes], block_length: int, seed: int, size: int) -> None:
    """Signature, delta and counters are equal, and each applies what the other made."""
    old, new = pair
    native, pure = core("native"), core("pure")
    signature = b"".join(native.signature_chunks(old, block_length, seed))
    assert signature == b"".join(pure.signature_chunks(Drip(old, size), block_length, seed))
    strong_length = check_signature(signature).strong_length
    for module in native, pure:
        signing = module.signing(block_length, strong_length, seed)
        for at in range(0, len(old), size):
            signing.update(memoryview(old)[at : at + size])
        assert signing.finish() == signature
    counts = DeltaStats(), DeltaStats()
    stream = b"".join(native.delta(signature, Drip(new, size), stats=counts[0]))
    assert stream == b"".join(pure.delta(signature, new, stats=counts[1]))
    assert counts[0] == counts[1]
    for module in native, pure:
        out = io.BytesIO()
        done = module.patch(io.BytesIO(old), (stream[at : at + size] for at in range(0, len(stream), size)), out)
        assert out.getvalue() == new
        assert (done.literal_bytes, done.matched_bytes) == (counts[0].literal_bytes, counts[0].matched_bytes)


@settings(max_examples=250)
@given(
    pair=file_pairs(),
    place=st.floats(0, 1, exclude_max=True),
    cut=st.integers(0, 9),
    put=st.binary(max_size=9),
    size=st.integers(1, 100),
)
def test_altered_streams(core, pair: tuple[bytes, bytes], place: float, cut: int, put: bytes, size: int) -> None:
    """Some bytes cut out, others put in: both refuse the stream, with the same words, however it is cut."""
    old, new = pair
    native, pure = core("native"), core("pure")
    signature = b"".join(native.signature_chunks(old, 16))
    stream = b"".join(native.delta(signature, new))
    for good in signature, stream:
        at = int(place * len(good))
        bad = good[:at] + put + good[at + cut :]
        if bad == good:
            continue
        said = []
        for module in native, pure:
            with pytest.raises(FormatError) as refused:
                if good is signature:
                    module.delta(bad, new)
                else:
                    module.patch(old, (bad[k : k + size] for k in range(0, len(bad), size)), io.BytesIO())
            said.append(str(refused.value))
        assert said[0] == said[1]


@settings(max_examples=150)
@given(data=st.binary(max_size=80), old=st.binary(max_size=300))
def test_senseless_bytes(core, data: bytes, old: bytes) -> None:
    """Any bytes behind a good header end in FormatError, or not at all; nothing else is raised."""
    for module in core("native"), core("pure"):
        with pytest.raises(FormatError):
            module.patch(old, [b"\x89twdel2\n" + bytes(11) + b"\1" + bytes(7) + b"\xff" + data], io.BytesIO(), max_output=10_000)
        with pytest.raises(FormatError):
            module.delta(b"\x89twsig2\n" + data, b"")


def test_larger_files_are_equal(core) -> None:
    """Long literal runs, edits and zero runs, over several windows of a file."""
    choice = random.Random(3)
    old = choice.randbytes(400_000) + bytes(300_000) + choice.randbytes(300_000)
    new = bytearray(old)
    for _ in range(20):
        at = choice.randrange(len(new))
        new[at : at + choice.randrange(50)] = choice.randbytes(choice.randrange(50))
    new[500_000:500_000] = choice.randbytes(600_000)
    streams = []
    for module in core("native"), core("pure"):
        signature = b"".join(module.signature_chunks(old))
        streams.append(b"".join(module.delta(signature, io.BytesIO(bytes(new)))))
        out = io.BytesIO()
        module.patch(old, streams, out) if len(streams) == 1 else module.patch(old, streams[1:], out)
        assert out.getvalue() == new
    assert streams[0] == streams[1]


def test_native_refuses_too_many_blocks(core) -> None:
    """More blocks than a signature may have: a sentence that says what to do."""
    old = bytes(limits.MAX_SIGNATURE_BLOCKS)
    signature = b"".join(core("native").signature_chunks(old, 1))
    assert len(signature) <= limits.MAX_SIGNATURE
    assert b"".join(core("native").delta(signature, b"\0"))
    with pytest.raises(UserError, match="longer block length"):
        list(core("native").signature_chunks(old + b"\0", 1))
    with pytest.raises(UserError, match="longer block length"):
        core("native").signing(1, 4, 0).update(memoryview(old + b"\0"))


def test_pure_refuses_too_many_blocks(core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in Python, with a lower limit, since a million blocks take it seconds."""
    monkeypatch.setattr(limits, "MAX_SIGNATURE_BLOCKS", 100)
    list(core("pure").signature_chunks(bytes(1600), 16))
    with pytest.raises(UserError, match="longer block length"):
        list(core("pure").signature_chunks(bytes(1601), 16))
    with pytest.raises(UserError, match="longer block length"):
        core("pure").signing(16, 4, 0).update(memoryview(bytes(1616)))


def test_limits_of_the_c_core(core) -> None:
    """The constants in C are those of twsync/limits.py."""
    core("native")
    from twsync.delta._core import lib

    for name in dir(lib):
        wanted = getattr(limits, name.removeprefix("TWD_"), None)
        if name.startswith(("TWD_MAX", "TWD_CONFIRM")):
            assert getattr(lib, name) == wanted, name


def test_same_interface(core) -> None:
    """Both modules offer the same names with the same parameters."""
    import inspect

    for name in ("signature_chunks", "signing", "delta", "patch"):
        assert inspect.signature(getattr(core("native"), name)) == inspect.signature(getattr(core("pure"), name))
    assert {core("native").NAME, core("pure").NAME} == {"native", "pure"}


@pytest.mark.parametrize("block_length", [1, 16, 700, 70_000])
@pytest.mark.parametrize("kernel", ["portable", "avx2", "avx512"])
def test_kernels_are_equal_to_the_reference(core, kernel: str, block_length: int) -> None:
    """Random and adversarial data: edits, zeros, few distinct blocks, and weak sums that any window has."""
    choice = random.Random(block_length)
    kinds = [choice.randbytes(max(4, block_length)) for _ in range(3)]
    few = b"".join(choice.choices(kinds, k=200_000 // len(kinds[0])))
    noise = choice.randbytes(150_000)
    edited = bytearray(noise)
    for _ in range(30):
        at = choice.randrange(len(edited))
        edited[at : at + choice.randrange(40)] = choice.randbytes(choice.randrange(40))
    pairs = {
        "edits": (noise, bytes(edited)),
        "zeros": (bytes(150_000), bytes(3000) + b"x" + bytes(99_000)),
        "few": (few, few[5:] + few[: len(few) // 2]),
        "unlike": (noise, choice.randbytes(60_000)),
        "letters": (bytes(choice.choices(b"ab", k=100_000)), bytes(choice.choices(b"ab", k=20_000))),
    }
    native, pure = core(f"native:{kernel}"), core("pure")
    for name, (old, new) in pairs.items():
        if block_length == 1:  # nearly every window is a candidate, and the reference slow
            old, new = old[:20_000], new[:20_000]
        signature = b"".join(native.signature_chunks(old, block_length))
        counts = DeltaStats(), DeltaStats()
        stream = b"".join(native.delta(signature, new, stats=counts[0]))
        assert stream == b"".join(pure.delta(signature, new, stats=counts[1])), name
        assert counts[0] == counts[1], name
        out = io.BytesIO()
        native.patch(old, [stream], out)
        assert out.getvalue() == new, name
    entries = [(number % 7, number) for number in range(500)]
    signature = forged_signature(block_length, entries, 500 * block_length)
    new = bytes(3 * block_length + 5000)
    assert b"".join(native.delta(signature, new)) == b"".join(pure.delta(signature, new))


class Reused:
    """Chunks that are good only until the next one is asked for."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self):
        for chunk in self._chunks:
            shown = bytearray(chunk)
            yield memoryview(shown)
            shown[:] = bytes(len(shown))


class Anywhere(io.BytesIO):
    """A file that several threads can read at once, a part at a time."""

    def readinto_at(self, buffer, place: int) -> int:
        part = self.getbuffer()[place : place + min(len(buffer), 700_000)]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("size", [0, 1, 512 * 1024, 2**20, 2**20 + 1, 5_000_000])
def test_executor_changes_nothing(core, size: int, tmp_path: Path) -> None:
    """Reading and writing on other threads: the same bytes, also around the sizes of the buffers."""
    native = core("native")
    choice = random.Random(size)
    old = choice.randbytes(size)
    new = bytearray(old[: size // 2] + choice.randbytes(size // 3) + old[size // 2 :])
    signature = b"".join(native.signature_chunks(old, 3000))
    stream = b"".join(native.delta(signature, new))
    with ThreadPoolExecutor(2) as executor:
        assert b"".join(native.signature_chunks(io.BytesIO(old), 3000, executor=executor)) == signature
        assert b"".join(native.signature_chunks(old, 3000, executor=executor)) == signature
        assert b"".join(native.delta(signature, io.BytesIO(new), executor=executor)) == stream
        for skipped in (0, 1000):
            for length in (3000, 2_000_000):
                file = Anywhere(old)
                file.seek(min(skipped, size))
                chunks = list(native.signature_chunks(file, length, strong_length=5, executor=executor))
                assert b"".join(chunks) == b"".join(native.signature_chunks(old[skipped:], length, strong_length=5))
                assert max(map(len, chunks)) <= limits.MAX_DELTA_CHUNK
            file = Anywhere(new)
            file.seek(min(skipped, size))
            chunks = list(native.delta(signature, file, executor=executor))
            assert b"".join(chunks) == b"".join(native.delta(signature, new[skipped:]))
            assert max(map(len, chunks)) <= limits.MAX_DELTA_CHUNK
        (tmp_path / "old").write_bytes(old)
        for ops in ([stream], (stream[at : at + 100_000] for at in range(0, len(stream), 100_000))):
            ops = list(ops)
            with open(tmp_path / "old", "rb") as file, open(tmp_path / "out", "wb", buffering=0) as out:
                plain = native.patch(file, ops, out, executor=executor)
            assert (tmp_path / "out").read_bytes() == new
            for given in (ops, Reused(ops)):
                spread = io.BytesIO()
                assert native.patch(Anywhere(old), given, spread, executor=executor) == plain
                assert spread.getvalue() == new


@pytest.mark.parametrize("block_length", [16, 700, 300_000, 3_000_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_spread_patch(core, block_length: int, threads: int) -> None:
    """Copies and literals of all lengths, written in order; what is wrong is refused with the same words as without threads."""
    native, choice = core("native"), random.Random(block_length)
    old = choice.randbytes(7_001 if block_length == 16 else 7_000_001)
    new = bytearray(old)
    for _ in range(30):
        at = choice.randrange(len(new))
        new[at : at + choice.randrange(50)] = choice.randbytes(choice.choice([0, 10, 300, 600_000 if block_length > 16 else 1]))
    new = bytearray(old + new + old)  # so that each byte of it is used
    stream = b"".join(native.delta(b"".join(native.signature_chunks(old, block_length, 3)), bytes(new)))
    out = io.BytesIO()
    with ThreadPoolExecutor(threads) as executor:
        done = native.patch(Anywhere(old), [stream], out, executor=executor)
        assert out.getvalue() == new
        assert done == native.patch(old, [stream], io.BytesIO())
        proved = bytearray()
        out = io.BytesIO()
        assert done == native.patch(Anywhere(old), [stream], out, executor=executor, prove=proved.extend)
        assert out.getvalue() == proved == new
        altered = bytearray(old)
        altered[0] ^= 1
        altered[-1] ^= 1
        for wrong, ops in (
            (bytes(altered), stream),
            (old[:-1], stream),
            (b"", stream),
            (old, stream[:-1]),
            (old, stream + b"x"),
            (old, stream[:-10] + b"?" + stream[-9:]),
        ):
            said = []
            for file, options in ((io.BytesIO(wrong), {}), (Anywhere(wrong), {"executor": executor})):
                with pytest.raises(FormatError) as refused:
                    native.patch(file, [ops], io.BytesIO(), **options)
                said.append(str(refused.value))
            assert said[0] == said[1]
        with pytest.raises(FormatError, match="more than is allowed"):
            native.patch(Anywhere(old), [stream], io.BytesIO(), executor=executor, max_output=len(new) - 1)


@pytest.mark.parametrize("block_length", [16, 704, 50_000, 300_000])
def test_looking_ahead_changes_nothing(core, block_length: int) -> None:
    """Where nothing matches, threads look at windows before the search comes to them: the same bytes and counts, whatever they find."""
    native, choice = core("native"), random.Random(block_length)
    old = choice.randbytes(1_000_000)
    foreign = choice.randbytes(3_500_000)
    pairs = {
        "unlike": foreign,
        "a match now and then": b"".join(foreign[at : at + 400_000] + old[at : at + 60_000] for at in range(0, 3_000_000, 400_000)),
        "matches at the end": foreign + old,
        "stretches": foreign + old + foreign[:2_500_000] + old[500:] + foreign,
        "more candidates than are kept": foreign[:2_100_000] + bytes(1_500_000) + foreign[:500_000],
    }
    signature = b"".join(native.signature_chunks(old, block_length))
    hostile = forged_signature(block_length, [(0, number) for number in range(8)], 8 * block_length)
    with ThreadPoolExecutor(2) as executor:
        for name, new in pairs.items():
            for sig in (signature, hostile):
                counts = DeltaStats(), DeltaStats()
                stream = b"".join(native.delta(sig, new, stats=counts[0]))
                assert b"".join(native.delta(sig, Anywhere(new), stats=counts[1], executor=executor)) == stream, name
                assert counts[0] == counts[1], name


class Failing(io.BytesIO):
    """A file that works for a while."""

    def __init__(self, data: bytes = b"", works: int = 3) -> None:
        super().__init__(data)
        self.works = works

    def _work(self) -> None:
        self.works -= 1
        if self.works < 0:
            raise OSError("broken")

    def readinto(self, buffer) -> int:
        self._work()
        return super().readinto(buffer)

    def write(self, data) -> int:
        self._work()
        return super().write(data)


class FailingAnywhere(Failing):
    """The same with places."""

    def readinto_at(self, buffer, place: int) -> int:
        self._work()
        part = self.getbuffer()[place : place + len(buffer)]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("threads", [0, 2])
def test_errors_of_files_come_through(core, threads: int) -> None:
    """Also from other threads, and nothing is under way when the call has ended."""
    native = core("native")
    data = random.Random(1).randbytes(9_000_000)
    signature = b"".join(native.signature_chunks(bytes(10_000), 1000))
    stream = b"".join(native.delta(signature, data))
    copies = b"".join(native.delta(b"".join(native.signature_chunks(data)), data))
    with ThreadPoolExecutor(2) as pool:
        executor = pool if threads else None
        for call in (
            lambda file: list(native.signature_chunks(file, 1000, executor=executor)),
            lambda file: list(native.delta(signature, file, executor=executor)),
            lambda file: native.patch(bytes(10_000), [stream], file, executor=executor),
            lambda file: native.patch(Anywhere(bytes(10_000)), [stream], file, executor=executor),
            lambda file: native.patch(file, [copies], io.BytesIO(), executor=executor),
        ):
            for kind in (Failing, FailingAnywhere):
                file = kind(data)
                with pytest.raises(OSError, match="broken") as caught:
                    call(file)
                assert -4 <= file.works < 0 if threads else file.works == -1  # other calls may have been under way
                caught.value.cycle = caught  # type: ignore[attr-defined]
                del caught
    gc.collect()  # with exported memoryviews in the tracebacks this crashed


def test_small_pieces_do_not_gather(core) -> None:
    """However the stream cuts the file up, what a batch notes of it is bounded."""
    native = core("native")
    from twsync.delta._joining import MOST_PIECES

    choice = random.Random(1)
    old = choice.randbytes(20_000)
    # A block and a byte in turn: two pieces for every 17 bytes, in a file that is shorter than a batch.
    new = b"".join(old[at : at + 16] + b"x" for _ in range(40) for at in range(0, 20_000, 32))
    stream = b"".join(native.delta(b"".join(native.signature_chunks(old, 16)), new))
    written: list[int] = []

    class Out(io.BytesIO):
        def write(self, data) -> int:
            written.append(len(data))
            return super().write(data)

    with ThreadPoolExecutor(2) as executor:
        native.patch(Anywhere(old), [stream], out := Out(), executor=executor)
    assert out.getvalue() == new
    assert len(written) == -(-2 * (len(new) // 17) // MOST_PIECES)


def test_iterators_left_with_an_executor(core) -> None:
    """A caller that stops half-way has its file back at once."""
    native = core("native")
    data = random.Random(1).randbytes(6_000_000)
    signature = b"".join(native.signature_chunks(b"", 1000))
    with ThreadPoolExecutor(1) as executor:
        for file in (io.BytesIO(data), Anywhere(data)):
            for iterator in (
                native.signature_chunks(file, 16, executor=executor),
                native.delta(signature, file, executor=executor),
            ):
                next(iterator)
                iterator.close()
                place = file.tell()
                assert executor.submit(file.tell).result() == place
                file.seek(0)
