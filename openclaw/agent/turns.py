"""A conversation in our own words, and its translation into each provider's wire format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from openclaw.transcript import Entry, text_of
from shared.providers import ToolCall, chat_completions, messages, responses


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    Attributes:
        call_id: for ``tool``: which call this is the result of.
        native: the provider's own items of an assistant turn, valid for the model named in `native_for` alone.
    """

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    native: tuple[Mapping[str, Any], ...] = ()
    native_for: str = ""


def turns_of(entries: Iterable[Entry], *, max_chars: int) -> list[Turn]:
    """The end of a transcript that fits into `max_chars`, beginning with a user's turn.

    Tool calls whose result is missing (a run that was cut) get one that says so: providers refuse them otherwise.
    """
    turns = [_turn(entry) for entry in entries]
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


def _turn(entry: Entry) -> Turn:
    message = entry.message
    if entry.role == "toolResult":
        return Turn("tool", text_of(message), call_id=str(message.get("toolCallId", "")))
    if entry.role == "assistant":
        calls = tuple(
            ToolCall(str(block["id"]), str(block["name"]), str(block["arguments"]))
            for block in message["content"]
            if block.get("type") == "toolCall"
        )
        return Turn("assistant", text_of(message), calls)
    return Turn("user", text_of(message))


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
