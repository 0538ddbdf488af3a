"""A patch is applied whole or not at all, inside the folder alone."""

from __future__ import annotations

import json
import os

import pytest

from openclaw.agent.tools import ToolContext, ToolRegistry
from openclaw.agent.workspace.folder import Folder
from openclaw.agent.workspace.patch import PatchTool, apply, parse_patch
from openclaw.agent.workspace.places import Places
from openclaw.sessions import MAIN_SESSION
from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.providers import ToolCall


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "root")
    folder.write("a.txt", b"one\ntwo\nthree\ntwo\nfour\n")
    folder.write("b.txt", b"no newline at the end")
    return folder


def run(folder, *lines):
    return apply(folder, parse_patch(patch(*lines)))


@pytest.mark.parametrize(
    ("lines", "after"),
    [
        (["@@", " one", "-two", "+2"], "one\n2\nthree\ntwo\nfour\n"),
        (["@@ three", "-two", "+2"], "one\ntwo\nthree\n2\nfour\n"),
        ([" one", "-two", "+2", "@@", "-two", "+zwei"], "one\n2\nthree\nzwei\nfour\n"),
        (["@@", "-two", "-four", "*** End of File"], "one\ntwo\nthree\n"),
        (["@@", "+five"], "one\ntwo\nthree\ntwo\nfour\nfive\n"),
        (["@@ one", "+one and a half"], "one\none and a half\ntwo\nthree\ntwo\nfour\n"),
        (["@@", "-one  ", "+ONE"], "ONE\ntwo\nthree\ntwo\nfour\n"),
    ],
)
def test_a_place_is_found_and_changed(folder, lines, after):
    assert run(folder, "*** Update File: a.txt", *lines) == "updated a.txt"
    assert folder.read("a.txt").decode() == after


def test_add_delete_move_and_a_file_without_a_last_newline(folder):
    told = run(
        folder,
        "*** Add File: new/c.txt",
        "+first",
        "+",
        "*** Update File: b.txt",
        "*** Move to: moved.txt",
        "-no newline at the end",
        "+still none",
        "*** Delete File: a.txt",
    )
    assert told == "added new/c.txt\nupdated b.txt, now moved.txt\ndeleted a.txt"
    assert folder.listing("") == ["moved.txt", "new/"]
    assert folder.read("new/c.txt") == b"first\n\n"
    assert folder.read("moved.txt") == b"still none"


@pytest.mark.parametrize(
    "lines",
    [
        ["*** Add File: x", "+x", "*** Update File: a.txt", "-absent", "+y"],
        ["*** Add File: x", "+x", "*** Delete File: absent"],
        ["*** Add File: x", "+x", "*** Add File: a.txt", "+y"],
        ["*** Add File: x", "+x", "*** Add File: ../y", "+y"],
        ["*** Add File: x", "+x", "*** Update File: a.txt", "*** Move to: b.txt", "-one", "+1"],
        ["*** Add File: x", "+x", "garbage"],
        ["+x"],
        [],
    ],
)
def test_what_does_not_fit_changes_nothing(folder, lines):
    with pytest.raises(GatewayError):
        run(folder, *lines)
    assert folder.listing("") == ["a.txt", "b.txt"]
    assert folder.read("a.txt").startswith(b"one\ntwo")


def test_a_disk_that_fails_halfway_gets_back_what_was_there(folder, monkeypatch):
    replace, count = os.replace, []

    def fails_second(*arguments, **more):
        count.append(1)
        if len(count) == 2:
            raise OSError(28, "No space left on device")
        return replace(*arguments, **more)

    monkeypatch.setattr(os, "replace", fails_second)
    with pytest.raises(GatewayError, match="No space"):
        run(folder, "*** Update File: a.txt", "-one", "+1", "*** Add File: x", "+x")
    assert folder.read("a.txt").startswith(b"one\n")
    assert folder.listing("") == ["a.txt", "b.txt"]


async def test_a_patch_cannot_change_standing_files_after_words_from_outside(tmp_path):
    places = Places("openclaw", Paths(state=tmp_path, runtime=tmp_path / "r"))
    registry = ToolRegistry([PatchTool(places).tool])
    for name in ("AGENTS.md", "skills/x/SKILL.md"):
        call = ToolCall("c", "apply_patch", json.dumps({"input": patch(f"*** Add File: {name}", "+evil")}))
        refused = await registry.run(call, ToolContext("r", MAIN_SESSION, outside=True))
        assert refused.is_error
    moved = patch("*** Add File: y", "+x", "*** Update File: y", "*** Move to: SOUL.md", "-x", "+evil")
    refused = await registry.run(
        ToolCall("c", "apply_patch", json.dumps({"input": moved})), ToolContext("r", MAIN_SESSION, outside=True)
    )
    assert refused.is_error
    assert not places.workspace.exists() or list(places.workspace.iterdir()) == []
