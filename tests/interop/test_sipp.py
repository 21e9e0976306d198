"""SIPp, the test tool of the SIP world, against syncctl."""

from __future__ import annotations

import time
from pathlib import Path


def finish(process, folder):
    """Wait for SIPp; its exit code is 0 only if every call went by its scenario."""
    _, errors = process.communicate(timeout=30)
    written = "".join(path.read_text("utf-8", "replace") for path in folder.glob("*.err"))
    assert process.returncode == 0, (errors.decode("utf-8", "replace"), written[-4000:])


def test_register_with_digest(sip, sipp, tmp_path):
    """REGISTER, 401, REGISTER with credentials, 200, and away again."""
    finish(sipp("register", "alice"), tmp_path)


def test_a_call_through_the_proxy(sip, sipp, tmp_path):
    """INVITE, 407, ACK, INVITE with credentials, 100, 180, 200, ACK, BYE, 200, between two SIPps."""
    callee = sipp("callee", "bob", "", "-oocsf", str(Path(__file__).parent / "sipp" / "answer.xml"))
    wait_registered(sip, "bob")
    finish(sipp("call", "alice", "bob"), tmp_path)
    assert callee.poll() is None


def test_signing_the_address_of_the_server(sip, sipp, tmp_path):
    """What SIPp signs if it is not told otherwise, whatever it requests; and with another name than its own."""
    finish(sipp("register", "alice", sign_target=False), tmp_path)
    renamed = (Path(__file__).parent / "sipp" / "register.xml").read_text().replace("Expires:", "User-Agent: Acme Phone 1.0\nExpires:")
    scenario = tmp_path / "renamed.xml"
    scenario.write_text(renamed.replace("branch=[branch]", "branch=z9hG4bKacme[call_number]x[cseq]"))
    finish(sipp(str(scenario.with_suffix("")), "bob", sign_target=False), tmp_path)


def wait_registered(sip, user):
    """Wait until the server lists a device of `user` as online."""
    until = time.monotonic() + 10
    while not any(user in line and "online" in line for line in sip.devices().splitlines()):
        assert time.monotonic() < until, sip.devices()
        time.sleep(0.1)
