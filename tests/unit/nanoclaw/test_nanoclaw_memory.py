"""Memory files: what a new group begins with, and how little is believed of what an agent wrote."""

from __future__ import annotations

import os

import pytest

from nanoclaw.folders import inner_path
from nanoclaw.groups import Group
from nanoclaw.memory import MEMORY_FILE, first_memory, global_memory, make_group_memory
from shared.errors import Denied, Invalid

LAB = Group("lab", "dc:1", "Lab\n# general")


def test_a_new_group_begins_with_a_memory_of_its_own_and_keeps_the_one_it_has(tmp_path):
    make_group_memory(tmp_path / "lab", tmp_path / "global", LAB)
    memory = tmp_path / "lab" / MEMORY_FILE
    assert memory.read_text() == first_memory(LAB)
    assert memory.read_text().startswith("# Lab # general\n")
    memory.write_text("mine")
    make_group_memory(tmp_path / "lab", tmp_path / "global", LAB)
    assert memory.read_text() == "mine"
    assert "all groups" in (tmp_path / "global" / MEMORY_FILE).read_text()


@pytest.mark.parametrize("make", [lambda path, out: path.symlink_to(out), lambda path, out: path.mkdir()])
def test_whatever_has_the_name_already_is_left_alone(tmp_path, make):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (tmp_path / "lab").mkdir()
    make(tmp_path / "lab" / MEMORY_FILE, outside)
    make_group_memory(tmp_path / "lab", tmp_path / "global", LAB)
    assert outside.read_text() == "precious"


def test_a_folder_that_cannot_be_used_costs_only_the_memory(tmp_path):
    (tmp_path / "lab").write_text("a file")
    make_group_memory(tmp_path / "lab", tmp_path / "global", LAB)
    assert (tmp_path / "lab").read_text() == "a file"


def test_the_global_memory_is_bounded_and_read_without_following_links(tmp_path):
    assert global_memory(tmp_path) == ""
    file = tmp_path / MEMORY_FILE
    file.write_text("가" * 50_000)
    text = global_memory(tmp_path)
    assert text.startswith("What follows is the memory of all groups, /workspace/global/CLAUDE.md:")
    assert 10_000 < text.count("가") < 11_000
    (tmp_path / "secret").write_text("secret")
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    assert global_memory(tmp_path) == ""
    file.unlink()
    os.mkfifo(file)
    assert global_memory(tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "inner"),
    [("a.txt", "a.txt"), ("/workspace/group/x/a.txt", "x/a.txt"), ("./x//a.txt", "x/a.txt"), ("..a", "..a")],
)
def test_paths_are_meant_inside_the_groups_folder(text, inner):
    assert str(inner_path(text)) == inner


@pytest.mark.parametrize(
    "text",
    ["", ".", "/", "..", "../x", "x/../../y", "/etc/passwd", "/workspace/group", "/workspace/group2/x", "a\0b",
     "/workspace/group/../global/CLAUDE.md", "/home/node/.claude/x"],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(text):
    with pytest.raises((Denied, Invalid), match="/workspace/group"):
        inner_path(text)
