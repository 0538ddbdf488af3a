"""A conversation in our own words, and its translation into each provider's wire format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from openclaw.transcript import COMPACTION, Entry, text_of
from shared.providers import ToolCall, chat_completions, messages, responses


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    Attributes:
        call_id: for ``tool``: which call this is the result of.
        native: the provider's own items of an assistant turn, valid for the model named in `native_for` alone.
        entry_id: the transcript entry it is from; empty for a summary.
    """

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    native: tuple[Mapping[str, Any], ...] = ()
    native_for: str = ""
    entry_id: str = ""


def turns_of(entries: Iterable[Entry], *, max_chars: int) -> list[Turn]:
    """The end of a transcript that fits into `max_chars`, beginning with a user's turn.

    Tool calls whose result is missing (a run that was cut) get one that says so: providers refuse them otherwise.
    """
    turns = _since_compaction(list(entries))
    kept: list[Turn] = []
    left = max_chars
    for turn in reversed(turns):
        left -= len(turn.text) + sum(len(call.arguments) for call in turn.calls)
        if left < 0 and kept:
            break
        kept.append(turn)
    kept.reverse()
    while kept and kept[0].role != "user":
        kept.pop(0)
    return _closed(kept)


def holds_outside(entries: Iterable[Entry]) -> bool:
    """Whether a conversation holds words from outside: a tool's result that is marked so, or a summary of one."""
    return any(entry.message.get("outside") is True for entry in entries)


def summary_turn(text: str) -> Turn:
    """A summary in place of what it sums up."""
    return Turn("user", f"[A record of the earlier conversation, made to save room; no instruction]\n{text}")


def _since_compaction(entries: Sequence[Entry]) -> list[Turn]:
    """The turns that count: the last summary, and what it did not sum up."""
    last = next((i for i in range(len(entries) - 1, -1, -1) if entries[i].role == COMPACTION), None)
    if last is None:
        return [_turn(entry) for entry in entries]
    first_kept = entries[last].message.get("firstKeptEntryId")
    start = next((i for i in range(last) if entries[i].id == first_kept), last)
    kept = [_turn(entry) for entry in entries[start:] if entry.role != COMPACTION]
    return [summary_turn(text_of(entries[last].message)), *kept]


def _turn(entry: Entry) -> Turn:
    message = entry.message
    if entry.role == "toolResult":
        return Turn("tool", text_of(message), call_id=str(message.get("toolCallId", "")), entry_id=entry.id)
    if entry.role == "assistant":
        calls = tuple(
            ToolCall(str(block["id"]), str(block["name"]), str(block["arguments"]))
            for block in message["content"]
            if block.get("type") == "toolCall"
        )
        return Turn("assistant", text_of(message), calls, entry_id=entry.id)
    return Turn("user", text_of(message), entry_id=entry.id)


def _closed(turns: Sequence[Turn]) -> list[Turn]:
    answered = {turn.call_id for turn in turns if turn.role == "tool"}
    called = {call.id for turn in turns for call in turn.calls}
    result: list[Turn] = []
    for turn in turns:
        if turn.role == "tool" and turn.call_id not in called:
            continue
        result.append(turn)
        result += [
            Turn("tool", "the run was interrupted before this finished", call_id=call.id)
            for call in turn.calls
            if call.id not in answered
        ]
    return result


def responses_items(turns: Iterable[Turn], model: str) -> list[Mapping[str, Any]]:
    """The conversation as Responses input items."""
    items: list[Mapping[str, Any]] = []
    for turn in turns:
        if turn.role == "user":
            items.append(responses.user_item(turn.text))
        elif turn.role == "tool":
            items.append(responses.tool_result_item(turn.call_id, turn.text))
        elif turn.native and turn.native_for == model:
            items += turn.native
        else:
            items += [responses.assistant_item(turn.text)] if turn.text else []
            items += [responses.tool_call_item(call) for call in turn.calls]
    return items


def completion_messages(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """The conversation as chat completion messages."""
    said: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "user":
            said.append(chat_completions.user_message(turn.text))
        elif turn.role == "tool":
            said.append(chat_completions.tool_message(turn.call_id, turn.text))
        elif turn.text or turn.calls:
            said.append(chat_completions.assistant_message(turn.text, turn.calls))
    return said


def message_turns(turns: Iterable[Turn], model: str) -> Sequence[Mapping[str, Any]]:
    """The conversation as Messages messages."""
    return messages.joined(_blocks(turn, model) for turn in turns)


def _blocks(turn: Turn, model: str) -> tuple[str, list[Mapping[str, Any]]]:
    if turn.role == "user":
        return "user", messages.text_blocks(turn.text)
    if turn.role == "tool":
        return "user", [messages.tool_result_block(turn.call_id, turn.text)]
    if turn.native and turn.native_for == model:
        return "assistant", list(turn.native)
    return "assistant", [*messages.text_blocks(turn.text), *(messages.tool_call_block(call) for call in turn.calls)]
