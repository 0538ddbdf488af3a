"""A process's log file, and reading the files of all processes as one."""

import json
import logging

import pytest

from gateway.logs import Source, Wanted, follow, newest, readable
from openclaw.log_lines import for_clients
from shared.errors import ConfigError
from shared.obs import logfile
from shared.obs.logfile import LogFile


def record(text):
    return logging.makeLogRecord({"msg": text})


def test_a_log_file_is_private_and_set_aside_when_it_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr(logfile, "_MAX_BYTES", 20)
    handler = LogFile(tmp_path / "logs" / "x.log")
    for text in ("first line that is long", "second"):
        handler.emit(record(text))
    handler.close()
    assert (tmp_path / "logs/x.log.1").read_text() == "first line that is long\n"
    assert (tmp_path / "logs/x.log").read_text() == "second\n"
    assert (tmp_path / "logs/x.log").stat().st_mode & 0o777 == 0o600


def test_a_log_file_that_cannot_be_written_is_refused_with_its_name(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(ConfigError, match=r"logs/x\.log"):
        LogFile(tmp_path / "logs" / "x.log")


def put(path, *lines):
    with path.open("a") as handle:
        handle.writelines(json.dumps(line) + "\n" for line in lines)


def line(ts, process, event, **rest):
    return {"ts": f"2026-03-01T00:00:{ts:02}Z", "level": "info", "process": process, "event": event, **rest}


def write(path, text):
    with path.open("a") as handle:
        handle.write(text)


def test_lines_of_all_processes_are_put_in_the_order_of_their_time(tmp_path):
    run = {"run_id": "run_1"}
    put(tmp_path / "a", line(1, "nanoclaw", "run.began", **run), line(4, "nanoclaw", "run.ended", **run))
    put(tmp_path / "b", line(2, "gateway", "model.called", **run), line(3, "gateway", "worker.ended", level="warning"))
    write(tmp_path / "b", 'no line of ours\n{"ts": "half')
    files = [Source(tmp_path / name) for name in ("a", "b", "missing")]
    assert [found["event"] for found in newest(files, Wanted(), 3)] == ["model.called", "worker.ended", "run.ended"]
    of_run = newest([Source(tmp_path / "a"), Source(tmp_path / "b")], Wanted(run="run_"), 10)
    assert [found["event"] for found in of_run] == ["run.began", "model.called", "run.ended"]
    assert newest([Source(tmp_path / "b")], Wanted(frozenset({"nanoclaw"})), 10) == []
    assert [one["event"] for one in newest([Source(tmp_path / "b")], Wanted(level="warning"), 10)] == ["worker.ended"]


def test_following_goes_on_over_rotation_and_takes_whole_lines_only(tmp_path):
    file = tmp_path / "a"
    put(file, line(1, "gateway", "old"))
    source = Source(file)
    assert [found["event"] for found in newest([source], Wanted(), 10)] == ["old"]
    put(file, line(2, "gateway", "new"))

    def rotate():
        file.rename(tmp_path / "a.1")
        put(file, line(3, "gateway", "rotated"))

    doings = [
        rotate,
        lambda: write(file, '{"ts": "2026-03-01T00:00:04Z", "event": "in '),
        lambda: write(file, 'two parts"}\n'),
    ]
    events = []
    for found in follow([source], Wanted(), lambda _seconds: doings.pop(0)()):
        events.append(found["event"])
        if not doings:
            break
    assert events == ["new", "rotated", "in two parts"]


def test_what_a_person_sees_has_no_control_characters(tmp_path):
    shown = readable(line(1, "gateway", "x.happened", why="two words\n\x1b[31mred", level="error"), None)
    assert "\x1b" not in shown
    assert "\n" not in shown
    assert "ERROR x.happened" in shown
    assert 'why="two words' in shown
    assert readable({"event": "bare"}, None).startswith("?")


def test_the_originals_clients_find_message_level_time_and_part():
    own = {
        "event": "run.ended",
        "level": "warning",
        "ts": "2026-03-01T00:00:00Z",
        "logger": "openclaw.runs",
        "chars": 3,
    }
    shown = json.loads(for_clients(json.dumps(own)))
    assert shown.items() >= own.items()
    assert shown["0"] == "run.ended chars=3"
    assert shown["time"] == shown["_meta"]["date"] == own["ts"]
    assert (shown["_meta"]["logLevelName"], json.loads(shown["_meta"]["name"])) == (
        "WARN",
        {"subsystem": "openclaw.runs"},
    )
    assert for_clients("no record") == "no record"
