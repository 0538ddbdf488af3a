"""What an approver reads: everything that will run, with nothing hidden in it."""

from __future__ import annotations

import json
from typing import Final

from openclaw.approvals.decide import action_of
from openclaw.approvals.models import IN_WORDS, Approval
from shared.channels.base import Button
from shared.channels.visible import in_code, visible
from shared.execpolicy.grants import HOLES_IN, URL_WITH_PATH
from shared.execpolicy.shell import read_command

_COMMAND_CHARS: Final = 700
_ARGV_CHARS: Final = 500
_LINE_CHARS: Final = 150
_VALUES: Final = 8
_MARKS: Final = {"requested": "🟠", "allow_once": "🟢", "allow_always": "🔵", "deny": "🔴", "expired": "⚪"}


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} …"


def _line(text: str) -> str:
    return f"`{_shortened(in_code(text), _LINE_CHARS)}`"


def is_long(approval: Approval) -> bool:
    """Whether the card cannot show everything, so that a file must."""
    question = approval.question
    parts = (question.reason, question.cwd, question.program, ", ".join(sorted(question.env)))
    return (
        len(in_code(question.command)) > _COMMAND_CHARS
        or len(in_code(_argv(approval))) > _ARGV_CHARS
        or any(len(in_code(part)) > _LINE_CHARS for part in parts)
    )


def _argv(approval: Approval) -> str:
    return json.dumps(approval.question.argv, ensure_ascii=True)


def card_text(approval: Approval) -> str:
    """The card, below 2,000 characters."""
    question = approval.question
    expires = int(approval.expires_at.timestamp())
    lines = [
        f"{_MARKS[approval.state]} **{_headline(approval)}**",
        f"```\n{_shortened(in_code(question.command), _COMMAND_CHARS)}\n```",
        f"Not covered: {_line(question.reason)}",
        f"Runs {_line(question.program)} with",
        f"```json\n{_shortened(in_code(_argv(approval)), _ARGV_CHARS)}\n```",
        f"In: {_line(question.cwd or 'the workspace of its session')}, for {_line(approval.session_key)}",
    ]
    if question.env:
        lines.append(f"Variables: {_line(', '.join(sorted(question.env)))}")
    if is_long(approval):
        lines.append("**Not everything fits here: read the file before you decide.**")
    if approval.state == "requested":
        always = f"not possible, {_line(question.always)}" if question.always else "exactly these words in this folder"
        lines += [f"Always would allow: {always}{_holes(approval)}", f"Expires <t:{expires}:R>"]
    lines.append(f"-# {approval.approval_id}")
    return "\n".join(lines)


def _holes(approval: Approval) -> str:
    """How an approver lets values change; nothing where none may."""
    question = approval.question
    if question.always:
        return ""
    values = changeable_words(question.command)
    if not values:
        return ""
    position, beginning = values[0]
    numbers = ", ".join(str(number) for number, _ in values[:_VALUES])
    return (
        f". Words that may be let change: {numbers}. "
        f"Write {_line(f'/approve {approval.approval_id} always {position}={beginning}')}"
    )


def changeable_words(command: str) -> list[tuple[int, str]]:
    """Positions of the words of a curl command that a hole may take, each with the shortest beginning it must keep."""
    reading = read_command(command)
    words = [] if reading.problem else [word.text for word in reading.words]
    if not words or words[0] not in HOLES_IN:
        return []
    found = []
    for position, word in enumerate(words[1:], start=1):
        url = URL_WITH_PATH.match(word)
        if url is not None:
            found.append((position, url[0]))
        elif not word.startswith("-") and not word.lower().startswith(("http:", "https:")):
            found.append((position, ""))
    return found


def _headline(approval: Approval) -> str:
    if approval.state == "requested":
        return "The agent wants to run a command"
    words = IN_WORDS[approval.state].capitalize()
    return f"{words} by {_line(approval.decided_by)}" if approval.decided_by else f"{words}: nobody decided in time"


def file_text(approval: Approval) -> str:
    """Everything, for a file beside the card."""
    question = approval.question
    lines = [
        f"id: {approval.approval_id}",
        f"program: {visible(question.program)}",
        f"folder: {visible(question.cwd) or 'the workspace of its session'}",
        f"variables: {', '.join(visible(name) for name in sorted(question.env)) or 'none'}",
        f"not covered because: {visible(question.reason)}",
        "",
        "command as the agent wrote it (invisible characters as \\u{…}):",
        visible(question.command),
        "",
        "words that may be let change with `/approve <id> always N=BEGINNING` (N, the beginning it must keep):",
        *(f"{n} {json.dumps(start, ensure_ascii=True)}" for n, start in changeable_words(question.command)),
        "",
        "arguments as they are executed, one a line:",
        *(json.dumps(word, ensure_ascii=True) for word in question.argv),
    ]
    return "\n".join(lines) + "\n"


def buttons(approval: Approval) -> tuple[Button, ...]:
    """What can be pressed: nothing once it is decided."""
    if approval.state != "requested":
        return ()
    once = Button(action_of(approval.approval_id, "allow_once"), "Allow once", "success")
    always = Button(action_of(approval.approval_id, "allow_always"), "Always allow", "primary")
    deny = Button(action_of(approval.approval_id, "deny"), "Deny", "danger")
    return (once, deny) if approval.question.always else (once, always, deny)
