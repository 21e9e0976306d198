"""Every command: help with an example, exit codes, one sentence for an error, one document with --json."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from twsync import __version__
from twsync.cli.funnel import run
from twsync.cli.main import COMMANDS
from twsync.cli.main import twsync as command
from twsync.demo.commands import environment
from twsync.errors import UserError


def commands():
    """Every command line of the host's side."""
    found = []

    def walk(name, group, context):
        for word in group.list_commands(context):
            inner = group.get_command(context, word)
            found.append([*name, word])
            if isinstance(inner, click.Group):
                walk([*name, word], inner, context)

    walk([], command, click.Context(command))
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(words, twsync):
    said = twsync(*words, "--help")
    assert said.code == 0
    assert "Example" in said.out
    assert f"twsync {' '.join(words)}".split()[1] in said.out


def test_overview_lists_every_command_without_importing_any():
    code = "import sys; from twsync.cli.funnel import run; from twsync.cli.main import twsync; run(twsync, ['--help'], 'twsync'); "
    code += "assert not [m for m in sys.modules if m.startswith(('twisted', 'lxml', 'OpenSSL', 'sqlalchemy', 'rich.progress'))]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for name, entry in COMMANDS.items():
        assert name in done.stdout and entry.summary.split()[0] in done.stdout


def test_version(twsync):
    assert __version__ in twsync("--version").out


@pytest.mark.parametrize("words", [["nothing"], ["sync"], ["sync", "photos"], ["sync", "a", "b", "--type", "x"], ["init", "--port", "5"]])
def test_wrong_usage_is_2_and_one_sentence(words, twsync):
    said = twsync(*words)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "--help" in said.err
    assert said.out == ""


def test_no_command_shows_the_overview_and_is_wrong_usage(twsync):
    said = twsync()
    assert said.code == 2
    assert "collection" in said.err


def failing(error):
    @click.command()
    @click.option("--json", is_flag=True)
    @click.pass_context
    def broken(ctx, json):
        ctx.obj.json = json
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("It is refused\n\x1b[31m, do\x07 that."), 1, "twsync: It is refused [31m, do that."),
        (PermissionError(13, "Permission denied", "/x"), 1, "twsync: /x: Permission denied; check the path and its permissions."),
        (RuntimeError("oops"), 1, "TWSYNC_DEBUG=1"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_funnel(error, code, said, capsys, monkeypatch):
    monkeypatch.setattr("twsync.cli.funnel._silence", lambda: None)
    assert run(failing(error), [], "twsync") == code
    out, err = capsys.readouterr()
    assert said in err
    assert err.strip().count("\n") == 0
    assert bool(err.strip()) == bool(said)
    assert out == ""


def test_error_with_json_is_a_document_too(capsys):
    assert run(failing(UserError("No.", "some-code")), ["--json"], "twsync") == 1
    assert capsys.readouterr().out == '{"error": {"code": "some-code", "message": "No."}}\n'


def test_closed_pipe_is_quiet():
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    line = f"{sys.executable} -m twsync --help | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.stderr == ""


def test_config_comes_from_option_environment_or_the_users_folder(twsync, host, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    said = twsync("status")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert str(tmp_path / "xdg" / "twsync" / "syncpeer.toml") in said.err
    monkeypatch.setenv("TWSYNC_CONFIG", str(host))
    assert twsync("status").code == 0
    assert twsync("status", config=tmp_path / "other.toml").code == 1
    assert twsync("--config", tmp_path / "other.toml", "status").code == 1


def test_commands_start_without_twisted():
    """It takes longer to import than most commands take."""
    script = "import sys, twsync.cli.sync, twsync.cli.status; sys.exit('twisted' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env=environment(), check=False).returncode == 0
