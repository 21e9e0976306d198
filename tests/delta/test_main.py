"""The command line."""

from __future__ import annotations

import io
import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import twsync.delta.__main__ as main_module
from twsync import delta
from twsync.delta.__main__ import main


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an old and a new file, as current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "new").write_bytes(b"put in front" + bytes(range(256)) * 39)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_three_commands(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Signature, delta, patch give the new file; nothing is said and nothing else is left."""
    assert main(["signature", "old", "sig"]) == 0
    assert main(["delta", "sig", "new", "changes"]) == 0
    assert main(["patch", "old", "changes", "out"]) == 0
    assert (files / "out").read_bytes() == (files / "new").read_bytes()
    assert (files / "sig").read_bytes() == delta.signature((files / "old").read_bytes())
    assert names(files) == ["changes", "new", "old", "out", "sig"]
    assert capsys.readouterr() == ("", "")


def test_block_length_seed_and_stats(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The options reach the signature; the counters go to standard error."""
    assert main(["signature", "old", "sig", "--block-length", "100", "--seed", "0x10", "--stats"]) == 0
    assert delta.check_signature((files / "sig").read_bytes()) == delta.SignatureInfo(100, 4, 16, 10240, 103)
    assert main(["delta", "sig", "new", "changes", "--stats"]) == 0
    assert main(["patch", "old", "changes", "out", "--stats"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 3
    assert f"{45 + 103 * 8} bytes" in lines[0]
    assert "9996 bytes" in lines[2]


def test_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With threads the same bytes come out, and failures leave nothing behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main_module, "_LARGE", 1_000_000)
    choice = random.Random(8)
    old = choice.randbytes(5_000_000)
    new = old[:2_000_000] + choice.randbytes(4_000_000) + old[1_900_000:] + b"end"
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "new").write_bytes(new)
    assert main(["signature", "old", "sig"]) == 0
    assert main(["delta", "sig", "new", "changes"]) == 0
    assert main(["patch", "old", "changes", "out"]) == 0
    assert (tmp_path / "sig").read_bytes() == delta.signature(old)
    assert (tmp_path / "changes").read_bytes() == b"".join(delta.delta(delta.signature(old), new))
    assert (tmp_path / "out").read_bytes() == new
    (tmp_path / "old").write_bytes(old[:-1])
    assert main(["patch", "old", "changes", "out"]) == 1
    assert names(tmp_path) == ["changes", "new", "old", "out", "sig"]


def test_patch_over_the_old_file(files: Path) -> None:
    """OUT may be OLD: the old one is read to the end before it is replaced."""
    main(["signature", "old", "sig"])
    main(["delta", "sig", "new", "changes"])
    assert main(["patch", "old", "changes", "old"]) == 0
    assert (files / "old").read_bytes() == (files / "new").read_bytes()


def test_output_through_a_link(files: Path) -> None:
    """A symbolic link stays one and leads to the new file; the mode is that of any new file."""
    (files / "link").symlink_to("target")
    before = os.umask(0o027)
    try:
        assert main(["signature", "old", "link"]) == 0
    finally:
        os.umask(before)
    assert (files / "link").is_symlink()
    assert stat.S_IMODE((files / "target").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "words",
    [
        ["signature", "missing", "out"],
        ["signature", ".", "out"],
        ["signature", "old", "no/such/folder/out"],
        ["delta", "old", "new", "out"],
        ["delta", "-", "-", "out"],
        ["patch", "old", "new", "out"],
        ["patch", "-", "new", "out"],
        ["signature", "old", "out", "--block-length", "16777217"],
    ],
)
def test_failures(files: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """One sentence on standard error, exit code 1 (2 for wrong usage), and no output file, not even a part of one."""
    if "--block-length" in words:
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
    else:
        assert main(words) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert len(said.err.splitlines()) == 1
    assert names(files) == ["new", "old"]


def test_failed_patch_leaves_the_output_as_it_was(files: Path) -> None:
    """A delta for another file: OUT keeps its old content."""
    main(["signature", "old", "sig"])
    main(["delta", "sig", "new", "changes"])
    (files / "out").write_bytes(b"precious")
    (files / "changes").write_bytes((files / "changes").read_bytes()[:-1])
    assert main(["patch", "old", "changes", "out"]) == 1
    assert (files / "out").read_bytes() == b"precious"
    assert names(files) == ["changes", "new", "old", "out", "sig"]


@pytest.mark.parametrize("words", [[], ["signature"], ["nonsense"], ["signature", "old", "sig", "--block-length", "x"]])
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage leaves with 2."""
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["signature"], ["delta"], ["patch"]])
def test_help_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself."""
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == 0
    assert "example:" in capsys.readouterr().out


def test_standard_streams(files: Path) -> None:
    """The three commands in a pipe, with - for what is piped."""

    def run(*words: str, given: bytes = b"") -> bytes:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run([sys.executable, "-m", "twsync.delta", *words], input=given, capture_output=True, env=environment, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    old, new = (files / "old").read_bytes(), (files / "new").read_bytes()
    signature = run("signature", "-", "-", "--block-length", "704", given=old)
    assert signature == b"".join(delta.signature_chunks(old, 704, strong_length=5))  # for a stream of unknown length
    (files / "sig").write_bytes(signature)
    changes = run("delta", "-", "new", "-", given=signature)
    assert changes == run("delta", "sig", "-", "-", given=new)
    assert run("patch", "old", "-", "-", given=changes) == new
    out = io.BytesIO()
    delta.patch(old, [changes], out)
    assert out.getvalue() == new


def test_output_that_is_no_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device is written as it is; a full one is an error."""
    assert main(["signature", "old", os.devnull]) == 0
    assert Path(os.devnull).is_char_device()
    if Path("/dev/full").exists():
        assert main(["signature", "old", "/dev/full"]) == 1
        assert "No space left" in capsys.readouterr().err
