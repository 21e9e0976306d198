"""The log after ``[log]`` of the settings."""

from __future__ import annotations

import io
import json

from twisted.logger import Logger, LogPublisher

from twsync.daemon import logs


def written(level, as_json):
    stream = io.StringIO()
    publisher = LogPublisher(logs.observer(stream, level, as_json))
    log = Logger("test", observer=publisher)
    log.debug("quiet {what}", what="detail")
    log.info("hello {who}", who="world")
    log.error("trouble")
    return stream.getvalue()


def test_levels():
    """What is below is left out."""
    assert "quiet detail" in written("debug", False)
    assert "quiet" not in written("info", False) and "hello world" in written("info", False)
    assert "hello" not in written("error", False) and "trouble" in written("error", False)


def test_json_lines():
    """One document a line, with the text made up."""
    lines = [json.loads(line) for line in written("info", True).splitlines()]
    found = [(line["level"], line["from"], line["text"]) for line in lines]
    assert found == [("info", "test", "hello world"), ("error", "test", "trouble")]
    assert all(isinstance(line["time"], float) for line in lines)


def test_who_chose_a_logger_keeps_it(tmp_path):
    """``--logger`` and ``--syslog`` win; else the log goes where twistd's options say."""
    for chosen in ({"logger": "some.thing"}, {"syslog": True}):
        options = dict(chosen)
        logs.take_over(options, "info", False)
        assert options == chosen
    options = {"logfile": str(tmp_path / "log"), "nodaemon": False}
    logs.take_over(options, "info", False)
    assert options["logger"] == "twsync.daemon.logs.configured"
    Logger("test", observer=LogPublisher(logs.configured())).info("to the file")
    assert "to the file" in (tmp_path / "log").read_text()
