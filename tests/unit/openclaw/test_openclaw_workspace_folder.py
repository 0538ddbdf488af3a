"""Nothing leads out of a session's folder, and a file is changed whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.tools import ToolContext, ToolRegistry
from openclaw.agent.workspace.folder import FILE_BYTES, Folder
from openclaw.agent.workspace.places import Places, is_standing
from openclaw.agent.workspace.tools import FileTools
from openclaw.sessions import MAIN_SESSION
from shared.config.paths import Paths
from shared.errors import Denied, GatewayError, Invalid, NotFound
from shared.providers import ToolCall

CHANNEL = "agent:main:discord:channel:5"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_text("secret")
    return Folder(tmp_path / "root")


@pytest.fixture
def places(tmp_path):
    return Places("openclaw", Paths(state=tmp_path, runtime=tmp_path / "r"))


@pytest.mark.parametrize(
    "path",
    ["../secret", "a/../../secret", "/etc/passwd", "~/x", "..", "/", "a/..", "x\0y", "x\ny", "a/" * 40, "n" * 300],
)
def test_a_path_that_leads_out_is_refused(folder, path):
    with pytest.raises((Denied, Invalid)):
        folder.read(path)
    with pytest.raises((Denied, Invalid)):
        folder.write(path, b"x")


@given(st.text(alphabet="./~ab\\\0é", max_size=12))
def test_no_spelling_of_a_path_is_read_outside(tmp_path_factory, path):
    base = tmp_path_factory.mktemp("p")
    (base / "b").write_text("secret")
    (base / "root").mkdir()
    with contextlib.suppress(GatewayError):
        assert b"secret" not in Folder(base / "root").read(path)


@pytest.mark.parametrize("leads_to", ["../secret", "/etc/passwd"])
def test_links_are_followed_neither_at_the_end_nor_on_the_way(folder, tmp_path, leads_to):
    folder.write("a.txt", b"a")
    (folder.root / "link").symlink_to(leads_to)
    (folder.root / "dir").symlink_to(tmp_path)
    for path in ("link", "dir/secret"):
        with pytest.raises(Denied):
            folder.read(path)
        with pytest.raises(Denied):
            folder.write(path, b"x")
    assert (tmp_path / "secret").read_text() == "secret"
    assert folder.listing("") == ["a.txt", "dir@", "link@"]


def test_a_root_that_became_a_link_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").write_text("x")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    with pytest.raises(Denied):
        Folder(tmp_path / "root").read("f")


def test_something_that_is_no_file_does_not_hang(folder):
    folder.write("a", b"a")
    os.mkfifo(folder.root / "pipe")
    with pytest.raises(Denied):
        folder.read("pipe")
    with pytest.raises(Denied):
        folder.write("pipe", b"x")
    with pytest.raises(Invalid):
        folder.read("")


def test_sizes_are_bounded(folder):
    with pytest.raises(Invalid):
        folder.write("big", b"x" * (FILE_BYTES + 1))
    folder.write("a", b"xx")
    with pytest.raises(Invalid):
        folder.read("a", most_bytes=1)
    with pytest.raises(Invalid, match="larger than 10 bytes"):  # it holds more than its size says, as one that grows
        Folder(Path("/proc") / str(os.getpid())).read("status", most_bytes=10)


@pytest.mark.parametrize(
    ("happens", "seen"),
    [(OSError(28, "No space left on device"), GatewayError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_file_that_cannot_be_written_stays_as_it_was(folder, monkeypatch, happens, seen):
    folder.write("a", b"old")

    def stops(*_arguments, **_more):
        raise happens

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stops)
        with pytest.raises(seen):
            folder.write("a", b"new")
    assert folder.read("a") == b"old"
    assert [entry.name for entry in folder.root.iterdir()] == ["a"]


def test_removing(folder):
    folder.write("d/a", b"x")
    folder.remove("d/a")
    with pytest.raises(NotFound):
        folder.remove("d/a")
    with pytest.raises(Denied):
        Folder(folder.root, read_only=True).write("x", b"")


@pytest.mark.parametrize(
    ("path", "standing"),
    [
        (("AGENTS.md",), True),
        (("agents.MD",), True),
        (("MEMORY.md",), True),
        (("skills", "x", "SKILL.md"), True),
        (("Skills", "x"), True),
        (("memory", "2026-01-01.md"), False),
        (("notes", "AGENTS.md"), False),
        ((), False),
    ],
)
def test_what_becomes_part_of_later_prompts(path, standing):
    assert is_standing(path) is standing


async def call(registry, name, context, **arguments):
    import json

    return await registry.run(ToolCall("c", name, json.dumps(arguments)), context)


async def test_a_channel_cannot_reach_the_agents_own_files_and_reads_skills(places):
    registry = ToolRegistry(FileTools(places).tools)
    owner, channel = ToolContext("r", MAIN_SESSION), ToolContext("r", CHANNEL)
    assert not (await call(registry, "write", owner, path="AGENTS.md", content="rules")).is_error
    assert not (await call(registry, "write", owner, path="skills/post/SKILL.md", content="how")).is_error
    assert (await call(registry, "read", channel, path="AGENTS.md")).is_error
    assert not (await call(registry, "write", channel, path="AGENTS.md", content="evil")).is_error
    assert (await call(registry, "read", owner, path="AGENTS.md")).text == "rules"
    assert (await call(registry, "read", channel, path="skills/post/SKILL.md")).text == "how"
    await call(registry, "write", channel, path="skills/post/SKILL.md", content="evil")
    assert (await call(registry, "read", owner, path="skills/post/SKILL.md")).text == "how"


async def test_standing_files_are_not_changed_once_words_from_outside_were_read(places):
    registry = ToolRegistry(FileTools(places).tools)
    calm, told = ToolContext("r", MAIN_SESSION), ToolContext("r", MAIN_SESSION, outside=True)
    await call(registry, "write", calm, path="SOUL.md", content="kind")
    for arguments in ({"path": "SOUL.md", "content": "evil"}, {"path": "skills/x/SKILL.md", "content": "evil"}):
        refused = await call(registry, "write", told, **arguments)
        assert refused.is_error
        assert "edit it in the Control UI" in refused.text
    assert (await call(registry, "edit", told, path="./SOUL.md", oldText="kind", newText="evil")).is_error
    assert (await call(registry, "read", calm, path="SOUL.md")).text == "kind"
    assert not (await call(registry, "write", told, path="memory/2026-01-01.md", content="note")).is_error


async def test_reading_in_parts_and_editing_exactly_once(places):
    registry = ToolRegistry(FileTools(places).tools)
    here = ToolContext("r", MAIN_SESSION)
    await call(registry, "write", here, path="a.txt", content="".join(f"line {n}\n" for n in range(1, 6)))
    part = await call(registry, "read", here, path="a.txt", offset=2, limit=2)
    assert part.text == "line 2\nline 3\n[lines 2 to 3 of 5; go on with offset=4]"
    assert (await call(registry, "read", here, path="a.txt", offset=9)).is_error
    for old in ("absent", "line"):
        assert (await call(registry, "edit", here, path="a.txt", oldText=old, newText="x")).is_error
    changed = await call(registry, "edit", here, path="a.txt", oldText="line 3", newText="drei")
    assert changed.text == "a.txt: changed at line 3"
    (places.workspace / "b.bin").write_bytes(b"\xff\xfe\0")
    assert "not a text file" in (await call(registry, "read", here, path="b.bin")).text
    assert (await call(registry, "read", here, path=".")).text == "a.txt\nb.bin"


async def test_kept_results_can_be_read_and_the_oldest_go(places):
    for number in range(25):
        path = await places.keep_result(CHANNEL, f"run/../{number}", f"text {number}")
    assert path == "results/run-24.txt"
    registry = ToolRegistry(FileTools(places).tools)
    assert (await call(registry, "read", ToolContext("r", CHANNEL), path=path)).text == "text 24"
    assert len(list((places.root(CHANNEL) / "results").iterdir())) == 20
