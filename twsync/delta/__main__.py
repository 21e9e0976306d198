"""The delta core as a command, as `rdiff` is librsync's: ``python -m twsync.delta signature|delta|patch``."""

# pathlib, tempfile and typing would double the time of the start, 30 ms without them.
# ruff: noqa: PTH105, PTH108, PTH110, PTH113, PTH118
from __future__ import annotations

import argparse
import io
import os
import sys
from contextlib import contextmanager, suppress

from twsync import delta, limits
from twsync.delta.threads import Threads
from twsync.errors import FormatError, TwsyncError

TYPE_CHECKING = False  # so to type checkers it is true
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from twsync.delta.interface import Executor

EXAMPLE = """example:
  python -m twsync.delta signature old.img old.sig       where the old file is
  python -m twsync.delta delta old.sig new.img changes   where the new file is
  python -m twsync.delta patch old.img changes new.img   where the old file is

- stands for standard input or output. An output file appears under its name only when it is complete.
TWSYNC_DELTA=auto|native|pure chooses the implementation; both write the same bytes."""
_READ = 256 * 1024
#: Bytes of a file from which on threads are worth their start.
_LARGE = 16 * 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 failed (wrong usage leaves with 2)."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except FormatError as error:
        return _failed(f"{error}; make it again from the signature on")
    except TwsyncError as error:
        return _failed(error.message)
    except BrokenPipeError:
        # Nothing more can be written; without this Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _failed("whoever read the output has stopped reading")
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}" if error.filename is not None else str(error.strerror or error))
    except ValueError as error:
        return _failed(str(error))
    except MemoryError:
        return _failed("not enough memory; a longer --block-length needs less")
    except KeyboardInterrupt:
        return _failed("interrupted")
    return 0


def _failed(sentence: str) -> int:
    print(f"twsync.delta: {sentence}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m twsync.delta", description="Signatures, deltas and patches of files.", epilog=EXAMPLE, formatter_class=raw
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="signature|delta|patch")
    for name, run, names, what in (
        ("signature", _signature, ("OLD", "SIG"), "Write the signature of OLD to SIG."),
        ("delta", _delta, ("SIG", "NEW", "DELTA"), "Write to DELTA what makes NEW out of the file that SIG describes."),
        ("patch", _patch, ("OLD", "DELTA", "OUT"), "Write to OUT the file that DELTA makes out of OLD."),
    ):
        command = commands.add_parser(name, help=what, description=what, epilog=EXAMPLE, formatter_class=raw)
        for argument in names:
            command.add_argument(argument)
        if name == "signature":
            command.add_argument("--block-length", type=_block_length, metavar="N", help="bytes of a block (default: by the size of OLD)")
            command.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of the strong sums (default: 0)")
        command.add_argument("--stats", action="store_true", help="say on standard error what was done")
        command.set_defaults(run=run)
    return parser


def _block_length(text: str) -> int:
    value = int(text)
    if not limits.MIN_BLOCK_LENGTH <= value <= limits.MAX_BLOCK_LENGTH:
        raise argparse.ArgumentTypeError(f"{value} is not within {limits.MIN_BLOCK_LENGTH} and {limits.MAX_BLOCK_LENGTH}")
    return value


def _seed(text: str) -> int:
    value = int(text, 0)
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError("a seed is a number from 0 to 2**64 - 1")
    return value


def _signature(options: argparse.Namespace) -> None:
    with _reading(options.OLD) as old, _threads(old) as executor, _writing(options.SIG) as out:
        size = _write(delta.signature_chunks(old, options.block_length, options.seed, executor=executor), out)
    if options.stats:
        print(f"signature: {size} bytes ({delta.BACKEND}, {delta.KERNEL})", file=sys.stderr)


def _delta(options: argparse.Namespace) -> None:
    stats = delta.DeltaStats()
    if options.SIG == "-" and options.NEW == "-":
        raise ValueError("only one of SIG and NEW can be standard input")
    with _reading(options.SIG) as file:
        signature = file.read(limits.MAX_SIGNATURE + 1)
    with _reading(options.NEW) as new, _threads(new) as executor:
        chunks = delta.delta(signature, new, stats=stats, executor=executor)  # before the output is opened: it checks the signature
        with _writing(options.DELTA) as out:
            size = _write(chunks, out)
    if options.stats:
        print(
            f"delta: {size} bytes, {stats.literal_bytes} literal in {stats.literals} pieces, {stats.matched_bytes} matched in "
            f"{stats.copies} pieces, {stats.false_hits} false hits ({delta.BACKEND}, {delta.KERNEL})",
            file=sys.stderr,
        )


def _patch(options: argparse.Namespace) -> None:
    if options.OLD == "-":
        raise ValueError("OLD is read at many places and cannot be standard input; give a file")
    with _reading(options.OLD) as old, _reading(options.DELTA) as file, _threads(old) as executor, _writing(options.OUT) as out:
        stats = delta.patch(old, iter(lambda: file.read(_READ), b""), out, executor=executor)
    if options.stats:
        print(
            f"patch: {stats.total_bytes} bytes, {stats.literal_bytes} literal, {stats.matched_bytes} matched "
            f"({delta.BACKEND}, {delta.KERNEL})",
            file=sys.stderr,
        )


def _write(chunks: Iterable[bytes], out: BinaryIO) -> int:
    """Write all chunks; returns the bytes written."""
    size = 0
    for chunk in chunks:
        out.write(chunk)
        size += len(chunk)
    return size


@contextmanager
def _reading(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with _File(name, "rb") as file:
        yield file


class _File(io.FileIO):
    """A file that several threads can read at once."""

    if hasattr(os, "preadv"):

        def readinto_at(self, buffer: memoryview, place: int) -> int:
            """Fill some or all of `buffer` with the bytes at a place; returns how many, 0 at the end."""
            return os.preadv(self.fileno(), [buffer], place)


@contextmanager
def _threads(file: BinaryIO) -> Iterator[Executor | None]:
    """Two threads that work on a large file."""
    if not file.seekable() or os.fstat(file.fileno()).st_size < _LARGE:
        yield None
        return
    with Threads(2) as threads:
        yield threads


@contextmanager
def _writing(name: str) -> Iterator[BinaryIO]:
    """A file that takes its name when it is complete. What is no plain file (a device, a pipe) is written as it is."""
    if name == "-":
        yield sys.stdout.buffer
        return
    path = os.path.realpath(name)  # a link stays one, and leads to the new file
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as out:
            yield out
        return
    folder, base = os.path.split(path)
    beside = os.path.join(folder, f".{base[:200]}.{os.urandom(6).hex()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None
    try:
        with open(handle, "wb") as out:
            yield out
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise


if __name__ == "__main__":
    sys.exit(main())
