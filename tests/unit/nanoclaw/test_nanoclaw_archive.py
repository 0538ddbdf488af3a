"""Conversations kept before they are shortened, in folders that the agent can write."""

from __future__ import annotations

import json
import os
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from nanoclaw.archive import archive
from shared.errors import Denied, GatewayError, Invalid, NotFound

SESSION = "0f8c6a52-1b7e-4b7e-9a44-0123456789ab"
NOW = datetime(2026, 3, 1, 21, 5, tzinfo=ZoneInfo("Asia/Seoul"))


def user(text, **more):
    return {"type": "user", "message": {"role": "user", "content": text}} | more


def agent(*texts, **more):
    content = [{"type": "text", "text": text} for text in texts]
    return {"type": "assistant", "message": {"role": "assistant", "content": content}} | more


def messages(*pairs):
    inner = "".join(f'<message sender="{who}" time="t">{text}</message>' for who, text in pairs)
    return f"<messages>{inner}</messages>"


def places(tmp_path, entries, *, session=SESSION):
    config, group = tmp_path / "config", tmp_path / "group"
    project = config / "projects" / "-workspace-group"
    project.mkdir(parents=True, exist_ok=True)
    group.mkdir(exist_ok=True)
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    (project / f"{session}.jsonl").write_text("\n".join(lines))
    return config, group


def kept(tmp_path, *entries):
    config, group = places(tmp_path, entries)
    name = archive(config, group, SESSION, now=NOW, agent_name="J")
    return name, (group / "conversations" / name).read_text()


def test_what_was_said_is_kept_readable_and_nothing_else(tmp_path):
    name, text = kept(
        tmp_path,
        {"type": "queue-operation", "content": "x"},
        user(messages(("Ann", "What is the &quot;tide&quot; today?"), ("Bob", "Yes, when?"))),
        "not json at all",
        {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "Bash", "input": {}}]}},
        user([{"type": "tool_result", "tool_use_id": "1", "content": "output"}]),
        agent("<internal>hm</internal>At 6.", isSidechain=False),
        agent("of a sub-agent", isSidechain=True),
        user("<local-command-stdout>x</local-command-stdout>"),
        user("by hand"),
    )
    assert name == "2026-03-01-what-is-the-tide-today.md"
    assert text.split("\n\n") == [
        "# Conversation until 2026-03-01 21:05",
        'Ann: What is the "tide" today?',
        "Bob: Yes, when?",
        "**J**: At 6.",
        "by hand\n",
    ]


def test_only_what_came_after_the_last_compaction_is_kept(tmp_path):
    boundary = {"type": "system", "subtype": "compact_boundary"}
    summary = user("This session is being continued from a previous conversation that ran out of context.")
    name, text = kept(
        tmp_path, user(messages(("Ann", "old"))), boundary, summary, user(messages(("Ann", "새로운 질문")))
    )
    assert "old" not in text
    assert "continued" not in text
    assert name == "2026-03-01-새로운-질문.md"


def test_long_texts_are_cut_and_names_that_are_taken_are_numbered(tmp_path):
    names = [kept(tmp_path, user(messages(("Ann", "x" * 5000))))[0] for _ in range(3)]
    assert names == [f"2026-03-01-{'x' * 50}{number}.md" for number in ("", "-2", "-3")]
    text = (tmp_path / "group" / "conversations" / names[0]).read_text()
    assert 1900 < text.count("x") <= 2000
    assert kept(tmp_path, user("   "), agent("only me"))[0] == "2026-03-01-conversation-2105.md"


def test_a_conversation_of_many_megabytes_keeps_its_end(tmp_path):
    _, text = kept(tmp_path, *[user(messages(("Ann", f"{number} " + "y" * 1990))) for number in range(1500)])
    assert len(text) < 2_200_000
    assert "earlier words were left out" in text
    assert "Ann: 1499 " in text


@pytest.mark.parametrize("piece", ['<message sender="a">', '<message sender="', "<message ", "</message>", "<"])
def test_a_transcript_of_beginnings_is_read_once_not_once_for_each(tmp_path, piece):
    """Were it not, this would take hours, and it can be the agent that wrote it."""
    _, text = kept(tmp_path, user(piece * 200_000), user(messages(("Ann", "still read"))))
    assert "Ann: still read" in text


@pytest.mark.parametrize("session", ["../../../etc/passwd", "", "x", SESSION.upper(), f"{SESSION}/../x"])
def test_an_id_that_is_none_is_refused(tmp_path, session):
    config, group = places(tmp_path, [user("x")])
    with pytest.raises(Invalid):
        archive(config, group, session, now=NOW, agent_name="J")


def test_a_transcript_that_is_not_there_or_says_nothing_is_told_so(tmp_path):
    config, group = places(tmp_path, [{"type": "mode"}])
    for session in (SESSION, SESSION.replace("0", "1")):
        with pytest.raises(NotFound):
            archive(config, group, session, now=NOW, agent_name="J")
    assert not (group / "conversations").exists()


def link_transcript(config, group, outside):
    path = config / "projects" / "-workspace-group" / f"{SESSION}.jsonl"
    path.unlink()
    path.symlink_to(outside / "secret.jsonl")


def link_project(config, group, outside):
    project = config / "projects" / "-workspace-group"
    project.rename(config / "moved")
    project.symlink_to(config / "moved")


def pipe_transcript(config, group, outside):
    path = config / "projects" / "-workspace-group" / f"{SESSION}.jsonl"
    path.unlink()
    os.mkfifo(path)


def link_archive(config, group, outside):
    (group / "conversations").symlink_to(outside)


def file_archive(config, group, outside):
    (group / "conversations").write_text("a file")


@pytest.mark.parametrize("trap", [link_transcript, link_project, pipe_transcript, link_archive, file_archive])
def test_nothing_leads_out_of_the_two_folders_and_nothing_hangs(tmp_path, trap):
    config, group = places(tmp_path, [user(messages(("Ann", "hi")))])
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jsonl").write_text(json.dumps(user(messages(("Eve", "secret")))))
    trap(config, group, outside)
    with pytest.raises(GatewayError) as refused:
        archive(config, group, SESSION, now=NOW, agent_name="J")
    assert isinstance(refused.value, Denied | NotFound)
    assert [path.name for path in outside.iterdir()] == ["secret.jsonl"]


def test_a_name_that_is_a_link_is_neither_followed_nor_overwritten(tmp_path):
    config, group = places(tmp_path, [user(messages(("Ann", "hi")))])
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (group / "conversations").mkdir()
    (group / "conversations" / "2026-03-01-hi.md").symlink_to(outside)
    assert archive(config, group, SESSION, now=NOW, agent_name="J") == "2026-03-01-hi-2.md"
    assert outside.read_text() == "precious"
