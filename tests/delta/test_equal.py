"""Both implementations write the same bytes and count the same events, for whatever files."""

from __future__ import annotations

import io
import random

import pytest
from delta_contract import Drip
from hypothesis import given, settings
from hypothesis import strategies as st

from twsync import limits
from twsync.delta.format import DeltaStats
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
            module.patch(old, [b"\x89twdel1\n" + bytes(15) + b"\xff" + data], io.BytesIO(), max_output=10_000)
        with pytest.raises(FormatError):
            module.delta(b"\x89twsig1\n" + data, b"")


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


def test_pure_refuses_too_many_blocks(core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in Python, with a lower limit, since a million blocks take it seconds."""
    monkeypatch.setattr(limits, "MAX_SIGNATURE_BLOCKS", 100)
    list(core("pure").signature_chunks(bytes(1600), 16))
    with pytest.raises(UserError, match="longer block length"):
        list(core("pure").signature_chunks(bytes(1601), 16))


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

    for name in ("signature_chunks", "delta", "patch"):
        assert inspect.signature(getattr(core("native"), name)) == inspect.signature(getattr(core("pure"), name))
    assert {core("native").NAME, core("pure").NAME} == {"native", "pure"}
