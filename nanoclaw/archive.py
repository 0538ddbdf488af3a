"""Conversations kept as readable files before the agent's command line shortens them.

The transcript lies in a folder that the agent can write, and so does the archive: what the agent (or its command line)
tells us about paths is not believed, and nothing is followed out of the two folders.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from nanoclaw.folders import write_new
from nanoclaw.prompt import strip_internal
from shared.beneath import names_beneath, read_beneath
from shared.errors import Invalid, NotFound

FOLDER = "conversations"

_SESSION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TRANSCRIPT_LIMIT_BYTES = 64 << 20
_ARCHIVE_LIMIT_CHARS = 2 << 20
_TEXT_LIMIT_CHARS = 2000  # of one text. Source: the original's archive, reference section 7
_SLUG_LIMIT = 50  # Source: as above
# Nothing in it goes beyond the next "<", so that a file of beginnings only is not read again for each of them.
_MESSAGE_BEGIN = re.compile(r'<message sender="([^"<]*+)"[^<>]*+>')
_MESSAGE_END = "</message>"
_NOT_SAID = ("<local-command", "<command-name>", "<system-reminder>", "This session is being continued from")
"""Beginnings of user texts that the command line made by itself."""


@dataclass(frozen=True, slots=True)
class Said:
    """One text of a conversation."""

    who: Literal["people", "agent"]
    text: str


def archive(session_folder: Path, group_folder: Path, session_id: str, *, now: datetime, agent_name: str) -> str:
    """Write what was said in a conversation into the group's folder; returns the file's name. Blocks.

    Args:
        session_folder: the command line's configuration folder of the group.
        group_folder: the group's.
        session_id: the conversation; checked, since the worker names it.
        now: local time, for the file's name and head.
        agent_name: how the agent's texts are headed.

    Raises:
        Invalid: the id is none, or the transcript is too large.
        NotFound: there is no transcript, or nothing was said in it.
        Denied: something in the way is a link or no ordinary file.
    """
    if not _SESSION.fullmatch(session_id):
        raise Invalid("the worker named a conversation whose id is none")
    said = list(read_transcript(_transcript(session_folder, session_id)))
    if not said:
        raise NotFound(f"nothing was said in conversation {session_id}")
    text = render(said, now=now, agent_name=agent_name)
    return write_new(group_folder, FOLDER, f"{now:%Y-%m-%d}-{_slug(said, now)}.md", text)


def _transcript(session_folder: Path, session_id: str) -> str:
    """The transcript's text. Its folder is named after the working directory, in a way that is not ours to rely on."""
    name = f"{session_id}.jsonl"
    for project in names_beneath(session_folder, ["projects"]):
        try:
            data = read_beneath(session_folder, ["projects", project], name, _TRANSCRIPT_LIMIT_BYTES)
        except NotFound:
            continue
        return data.decode(errors="replace")
    raise NotFound(f"conversation {session_id} has no transcript")


def read_transcript(text: str) -> Iterator[Said]:
    """What people and the agent said since the last compaction, oldest first; unreadable lines are passed over."""
    said: list[Said] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or entry.get("isSidechain") or entry.get("isMeta"):
            continue
        if entry.get("subtype") == "compact_boundary":
            said.clear()  # what came before lies in an earlier archive
        elif entry.get("type") in {"user", "assistant"} and isinstance(entry.get("message"), dict):
            said += _of_entry(entry["type"], entry["message"].get("content"))
    return iter(said)


def _of_entry(kind: str, content: Any) -> Iterator[Said]:  # noqa: ANN401 - JSON of a file that anybody may have written
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for block in blocks if isinstance(blocks, list) else ():
        text = block.get("text") if isinstance(block, dict) and block.get("type") == "text" else None
        if not isinstance(text, str) or text.lstrip().startswith(_NOT_SAID):
            continue
        if kind == "assistant":
            if shown := strip_internal(text):
                yield Said("agent", shown)
        else:
            yield from _people(text)


def _people(text: str) -> Iterator[Said]:
    position = 0
    while (begin := _MESSAGE_BEGIN.search(text, position)) and (end := text.find(_MESSAGE_END, begin.end())) >= 0:
        yield Said("people", f"{html.unescape(begin[1])}: {html.unescape(text[begin.end() : end])}")
        position = end + len(_MESSAGE_END)
    if position == 0 and text.strip():
        yield Said("people", text.strip())


def render(said: list[Said], *, now: datetime, agent_name: str) -> str:
    """The archive's text; each text is cut, and in a very long conversation the oldest ones are left out."""
    parts: list[str] = []
    size = 0
    for item in reversed(said):
        text = item.text if len(item.text) <= _TEXT_LIMIT_CHARS else f"{item.text[:_TEXT_LIMIT_CHARS]}…"
        part = f"**{agent_name}**: {text}" if item.who == "agent" else text
        size += len(part)
        if size > _ARCHIVE_LIMIT_CHARS:
            parts.append("*(earlier words were left out)*")
            break
        parts.append(part)
    head = f"# Conversation until {now:%Y-%m-%d %H:%M}"
    return "\n\n".join([head, *reversed(parts)]) + "\n"


def _slug(said: list[Said], now: datetime) -> str:
    first = next((item.text for item in said if item.who == "people"), "")
    words = re.sub(r"[^\w]+", "-", first.partition("\n")[0].partition(": ")[2].lower()).strip("-_")
    return words[:_SLUG_LIMIT].rstrip("-_") or f"conversation-{now:%H%M}"
