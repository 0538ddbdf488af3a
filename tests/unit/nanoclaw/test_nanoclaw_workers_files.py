"""Logs lie where an agent can write: what it puts in their place is not read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from nanoclaw.cli import cli
from nanoclaw.workers.files import Life, WorkerFiles
from shared.config.paths import Paths
from shared.errors import Invalid, NotFound

SECRET = "a file of the host"


def an_installation(root: Path) -> Paths:
    paths = Paths.resolve(root / "s", root / "r")
    logs = paths.group_logs("nanoclaw", "main")
    logs.mkdir(parents=True)
    for day in (1, 2, 3):
        (logs / f"container-2026-03-0{day}T00-00-00-000.log").write_text(f"group: main\nday {day}\n")
    (logs / "other.txt").write_text("no log")
    paths.group_debug_log("nanoclaw", "main").parent.mkdir(parents=True)
    paths.group_debug_log("nanoclaw", "main").write_text("[DEBUG] hello\n")
    (root / "secret").write_text(SECRET)
    return paths


def run(paths: Paths, *words: str) -> str:
    done = CliRunner().invoke(cli, ["workers", *words, "--state", str(paths.state)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_newest_lives_are_shown_oldest_first(tmp_path) -> None:
    paths = an_installation(tmp_path)
    assert run(paths, "logs", "main") == "==> container-2026-03-03T00-00-00-000.log\ngroup: main\nday 3\n"
    found = json.loads(run(paths, "logs", "main", "--lives", "2", "--json"))
    assert [life["text"].split()[-1] for life in found] == ["2", "3"]
    assert run(paths, "debug", "main") == "[DEBUG] hello\n"
    assert json.loads(run(paths, "debug", "main", "--json"))["text"] == "[DEBUG] hello\n"


def test_what_is_written_later_is_followed_into_the_next_life(tmp_path) -> None:
    paths = an_installation(tmp_path)
    logs = paths.group_logs("nanoclaw", "main")
    files = WorkerFiles(paths, "nanoclaw", "main")
    following = files.follow(files.lives(1))
    (logs / "container-2026-03-03T00-00-00-000.log").write_text("group: main\nday 3\nmore\n")
    assert next(following).text == "more\n"
    (logs / "container-2026-03-04T00-00-00-000.log").write_text("new\n")
    new = next(following)
    assert (new.file, new.text) == ("container-2026-03-04T00-00-00-000.log", "new\n")


def test_following_as_json_is_an_object_a_line_from_what_is_there_on(tmp_path, monkeypatch) -> None:
    paths = an_installation(tmp_path)

    def follow(self, shown):
        yield Life(shown[-1].file, "more\n", 0)  # the real one never ends

    monkeypatch.setattr(WorkerFiles, "follow", follow)
    first, second = [json.loads(line) for line in run(paths, "logs", "main", "-f", "--json").splitlines()]
    assert second == {"file": first["file"], "text": "more\n"}
    assert "day 3" in first["text"]


def test_a_link_or_pipe_in_place_of_a_log_is_not_read(tmp_path) -> None:
    paths = an_installation(tmp_path)
    debug = paths.group_debug_log("nanoclaw", "main")
    debug.unlink()
    debug.symlink_to(tmp_path / "secret")
    with pytest.raises(NotFound, match="debug_log"):
        WorkerFiles(paths, "nanoclaw", "main").debug_log()
    debug.unlink()
    os.mkfifo(debug)
    with pytest.raises(NotFound):
        WorkerFiles(paths, "nanoclaw", "main").debug_log()
    logs = paths.group_logs("nanoclaw", "main")
    for file in logs.iterdir():
        file.unlink()
    logs.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "container-x.log").write_text(SECRET)
    logs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFound, match="no worker logs"):
        WorkerFiles(paths, "nanoclaw", "main").lives(1)


def test_a_group_that_is_none_is_said_so(tmp_path) -> None:
    paths = an_installation(tmp_path)
    with pytest.raises(Invalid):
        WorkerFiles(paths, "nanoclaw", "../../etc")
    with pytest.raises(NotFound, match="groups list"):
        WorkerFiles(paths, "nanoclaw", "nobody").lives(1)
