"""A process's log file, and reading the files of all processes as one."""

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import structlog

from gateway.logs import Source, Wanted, follow, newest, readable
from openclaw.log_lines import for_clients
from shared.cli import on_clock
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.config.zone import owner_zone
from shared.errors import ConfigError
from shared.obs import logfile
from shared.obs.log import configure_logging, get_logger, stamp_logs_in
from shared.obs.logfile import LogFile
from shared.secrets.files import write_private

SEOUL = ZoneInfo("Asia/Seoul")


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
    shown = readable(line(1, "gateway", "x.happened", why="two words\n\x1b[31mred", level="error"), UTC)
    assert "\x1b" not in shown
    assert "\n" not in shown
    assert "ERROR x.happened" in shown
    assert 'why="two words' in shown
    assert readable({"event": "bare"}, UTC).startswith("?")


def test_a_line_is_stamped_on_the_owners_clock_with_its_offset_and_shown_there(tmp_path):
    stream = io.StringIO()
    configure_logging("test", stream=stream)
    try:
        stamp_logs_in(SEOUL)
        before = SYSTEM_CLOCK.now()
        get_logger("x").info("thing.happened")
        logging.getLogger("some.library").warning("too")
    finally:
        stamp_logs_in(None)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers.clear()
    ours, theirs = (json.loads(text) for text in stream.getvalue().splitlines())
    for found in (ours, theirs):
        assert found["ts"].endswith("+09:00")
        assert timedelta() <= datetime.fromisoformat(found["ts"]) - before < timedelta(minutes=1)
    assert readable(ours, UTC)[:11] == f"{datetime.fromisoformat(ours['ts']).astimezone(UTC):%m-%d %H:%M}"
    assert readable(line(1, "gateway", "x"), SEOUL).startswith("03-01 09:00:01.000 ")


def test_lines_of_two_offsets_are_put_in_the_order_of_their_time(tmp_path):
    early = {**line(1, "gateway", "early"), "ts": "2026-03-01T09:00:01+09:00"}
    put(tmp_path / "a", line(2, "gateway", "late"), {"event": "without a time", "process": "gateway"})
    put(tmp_path / "b", early)
    found = newest([Source(tmp_path / "a"), Source(tmp_path / "b")], Wanted(), 3)
    assert [one["event"] for one in found] == ["without a time", "early", "late"]


def test_the_owners_zone_is_found_by_commands_as_the_gateway_finds_it(tmp_path, monkeypatch):
    monkeypatch.delenv("TZ", raising=False)
    paths = Paths(tmp_path / "state", tmp_path / "run")
    assert owner_zone(paths).key == "Asia/Seoul"
    overlay_file(operator_file("gateway", paths), {"workers": {"timezone": "Asia/Tokyo"}})
    assert owner_zone(paths).key == "Asia/Tokyo"
    write_private(paths.env_file, "TZ=Europe/Berlin\n")
    assert owner_zone(paths).key == "Europe/Berlin"
    monkeypatch.setenv("TZ", ":Pacific/Auckland")
    assert owner_zone(paths).key == "Pacific/Auckland"
    monkeypatch.setenv("TZ", "Nowhere/Land")
    paths.env_file.chmod(0o644)
    assert owner_zone(paths).key == "Asia/Tokyo", "what cannot be used is passed over"


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-03-01T00:00:05.123456+00:00", "2026-03-01 09:00:05 KST"),
        ("2026-03-01T00:00:05", "2026-03-01 09:00:05 KST"),
        ("2026-03-01T00:00:05Z", "2026-03-01 09:00:05 KST"),
        (datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01 09:00:00 KST"),
        (None, None),
    ],
)
def test_a_table_shows_times_on_the_owners_clock(moment, shown):
    assert on_clock(moment, SEOUL, seconds=True) == shown
    assert on_clock(moment, SEOUL) == (shown and f"{shown[:16]} KST")


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
