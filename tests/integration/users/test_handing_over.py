"""Root hands folders over to a user who changes them meanwhile: nothing outside of them is given away. Needs root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.handover import hand_over
from shared.errors import Denied
from tests.support.missing import require_root

THEIRS = 12345


@pytest.fixture
def state(tmp_path: Path) -> Path:
    require_root("hand folders over")
    (tmp_path / "etc/ssl").mkdir(parents=True)
    (tmp_path / "etc/ssl/key").write_text("root's")
    folder = tmp_path / "state"
    (folder / "group/x/ssl").mkdir(parents=True)
    return folder


def owner(path: Path) -> int:
    return path.lstat().st_uid


def test_what_root_left_is_handed_over_and_nothing_else(state: Path) -> None:
    group, outside = state / "group", state.parent / "etc/ssl/key"
    (group / "x/note").write_text("root's, and theirs now")
    (group / "x/second").hardlink_to(outside)
    (group / "link").symlink_to(outside)
    (group / "away").symlink_to(state.parent / "etc")
    os.mkfifo(group / "pipe")
    (group / "other").write_text("a third user's")
    os.chown(group / "other", 4242, 4242)
    hand_over(state, ("group",), THEIRS, THEIRS)
    for given in (group, group / "x", group / "x/ssl", group / "x/note"):
        assert owner(given) == THEIRS, given
    assert [owner(outside), owner(outside.parent), owner(group / "link"), owner(group / "pipe")] == [0, 0, 0, 0]
    assert owner(group / "other") == 4242


def test_a_link_on_the_way_is_refused_in_words(state: Path) -> None:
    (state / "group").rename(state / "was")
    (state / "group").symlink_to(state.parent / "etc")
    with pytest.raises(Denied, match="cannot be handed over"):
        hand_over(state, ("group", "ssl"), THEIRS, THEIRS)
    assert owner(state.parent / "etc/ssl") == 0


@pytest.mark.parametrize("becomes", ["a link to a folder", "a link to a file", "a pipe", "a folder", "nothing"])
@pytest.mark.parametrize("name", ["x", "note"])
def test_what_is_exchanged_between_the_look_and_the_deed_leads_nowhere(
    state: Path, monkeypatch: pytest.MonkeyPatch, name: str, becomes: str
) -> None:
    group, outside = state / "group", state.parent / "etc/ssl/key"
    (group / "note").write_text("root's")
    (group / "kept").write_text("root's")
    look = os.stat

    def looked(path: str, **how: Any) -> os.stat_result:  # the attacker is as quick as can be
        facts = look(path, **how)
        if path == name and (group / name).exists():
            (group / name).rename(state.parent / "was")
            if becomes.startswith("a link"):
                (group / name).symlink_to(outside.parent.parent if "folder" in becomes else outside)
            elif becomes == "a pipe":
                os.mkfifo(group / name)
            elif becomes == "a folder":
                (group / name).mkdir()
        return facts

    monkeypatch.setattr("gateway.handover.os.stat", looked)
    hand_over(state, ("group",), THEIRS, THEIRS)
    monkeypatch.undo()
    assert (state.parent / "was").exists()
    assert owner(outside) == owner(outside.parent) == owner(outside.parent.parent) == owner(state.parent / "was") == 0
    assert owner(group) == owner(group / "kept") == THEIRS  # and the rest goes on
