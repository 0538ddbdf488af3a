"""Rotation and deletion of log files on a real file system."""

from __future__ import annotations

import gzip
import logging
import os
from datetime import UTC, datetime, timedelta

import pytest

from shared.maintenance.logs import LogFolder, delete_old, rotate
from shared.obs.logfile import LogFile


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def lines_of(path):
    return gzip.decompress(path.read_bytes()).decode()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_seven_compressed_generations_are_kept(logs):
    for day in range(1, 11):
        (logs / "a.log").write_text(f"day {day}\n")
        assert rotate([LogFolder(logs)], keep=7) == 1
    assert names(logs) == [f"a.log.{n}.gz" for n in range(1, 8)]
    assert [lines_of(logs / f"a.log.{n}.gz") for n in (1, 7)] == ["day 10\n", "day 4\n"]


def test_an_empty_file_and_other_files_are_left_alone(logs):
    (logs / "empty.log").touch()
    (logs / "notes.txt").write_text("x")
    (logs / "metrics.jsonl").write_text("{}\n")
    assert rotate([LogFolder(logs)], keep=7) == 1
    assert names(logs) == ["empty.log", "metrics.jsonl.1.gz", "notes.txt"]


def test_a_rotation_that_was_cut_is_taken_up_and_no_line_is_lost(logs):
    (logs / "a.log").write_text("older\n")
    rotate([LogFolder(logs)], keep=7)
    (logs / "a.log.1").write_text("cut\n")
    (logs / ".a.log.1.part").write_bytes(b"half")
    (logs / "a.log").write_text("newest\n")
    rotate([LogFolder(logs)], keep=7)
    assert [lines_of(logs / f"a.log.{n}.gz") for n in (1, 2, 3)] == ["newest\n", "cut\n", "older\n"]
    assert names(logs) == ["a.log.1.gz", "a.log.2.gz", "a.log.3.gz"]


def test_fewer_generations_than_before_drops_the_rest(logs):
    for _ in range(5):
        (logs / "a.log").write_text("x\n")
        rotate([LogFolder(logs)], keep=7)
    (logs / "a.log").write_text("x\n")
    rotate([LogFolder(logs)], keep=2)
    assert names(logs) == ["a.log.1.gz", "a.log.2.gz"]


def test_compressed_logs_keep_the_age_of_their_newest_line_and_their_mode(logs):
    path = logs / "a.log"
    path.write_text("x\n")
    path.chmod(0o600)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    rotate([LogFolder(logs)], keep=7)
    facts = (logs / "a.log.1.gz").stat()
    assert (facts.st_mtime, facts.st_mode & 0o777) == (1_700_000_000, 0o600)


def test_only_old_logs_are_deleted(logs):
    now = datetime(2026, 3, 20, tzinfo=UTC)
    for name, days in (
        ("old.log", 15),
        ("old.log.3.gz", 20),
        ("container-1.log", 16),
        ("new.log", 13),
        ("old.txt", 99),
    ):
        (logs / name).write_text("12345")
        age = (now - timedelta(days=days)).timestamp()
        os.utime(logs / name, (age, age))
    assert delete_old([LogFolder(logs, rotated=False)], before=now - timedelta(days=14)) == (3, 15)
    assert names(logs) == ["new.log", "old.txt"]


def test_links_are_never_followed(tmp_path, logs):
    """An agent may write around a group's log folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.log").write_text("kept")
    os.utime(outside / "kept.log", (1, 1))
    group = tmp_path / "group"
    group.mkdir()
    (group / "logs").symlink_to(outside)
    (logs / "link.log").symlink_to(outside / "kept.log")
    now = datetime(2026, 3, 20, tzinfo=UTC)
    folders = [LogFolder(group, ("logs",)), LogFolder(logs), LogFolder(tmp_path / "nowhere")]
    assert delete_old(folders, before=now) == (0, 0)
    assert rotate(folders, keep=7) == 0
    assert (outside / "kept.log").read_text() == "kept"


def test_a_writer_that_keeps_its_file_open_goes_on_in_a_new_one(logs):
    handler = LogFile(logs / "openclaw.log")
    handler.emit(logging.makeLogRecord({"msg": "before"}))
    rotate([LogFolder(logs)], keep=7)
    handler.emit(logging.makeLogRecord({"msg": "after"}))
    assert lines_of(logs / "openclaw.log.1.gz") == "before\n"
    assert (logs / "openclaw.log").read_text() == "after\n"
    handler.close()
