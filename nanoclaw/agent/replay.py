"""A turn heard again from the worker's log, after the process that asked for it is gone.

Protocol, as the command line 2.1.330 was seen to behave with ``--replay-user-messages``:

- A control response of ours that it takes is repeated on its output, once; a second answer to the same request is
  ignored and not repeated. So a request without its response in the log was not answered.
- A prompt with a uuid it has seen is not asked again, whether it waits, runs, was answered, or is only in the
  transcript of a resumed session (then ``command_lifecycle: completed`` comes and no result). So a prompt may be
  written again to the worker that perhaps has it, and must have a new uuid for every other try.
- ``initialize`` is answered at once also in the middle of a turn: what came before its answer is the past.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

Calls = Mapping[str, Collection[int]]
"""Numbers of calls, from 1, by tool."""


class Replay:
    """Collects the past of a worker until the present is reached.

    Attributes:
        dealt_with: numbers (from 1, by tool) of the calls in it that were answered, or taken back by the agent.
    """

    def __init__(self) -> None:
        self.dealt_with: dict[str, set[int]] = {}
        self._calls: Counter[str] = Counter()
        self._numbers: dict[str, int] = {}
        self._held: list[dict[str, Any]] = []

    def take(self, message: dict[str, Any]) -> None:
        """Remember a message of the past."""
        match message.get("type"):
            case "control_request":
                self._held.append(message)
                if name := called_tool(message):
                    self._calls[name] += 1
                    self._numbers[str(message.get("request_id"))] = self._calls[name]
            case "control_response":
                self._settle(str(message.get("response", {}).get("request_id")))
            case "control_cancel_request":
                self._settle(str(message.get("request_id")))
            case "stream_event":
                self._take_piece(message)
            case _:
                self._held.append(message)

    def release(self) -> list[dict[str, Any]]:
        """What is to be heard again, in order: no request that was answered, no piece of text for itself."""
        held, self._held = self._held, []
        return held

    def _settle(self, request_id: str) -> None:
        for index, message in enumerate(self._held):
            if message.get("type") == "control_request" and message.get("request_id") == request_id:
                del self._held[index]
                if name := called_tool(message):
                    self.dealt_with.setdefault(name, set()).add(self._numbers[request_id])
                return

    def _take_piece(self, message: dict[str, Any]) -> None:
        """Pieces of text become one, those of a tool's input are nothing to us: a long answer must not fill memory."""
        text = _text_of(message)
        if text is None:
            return
        last = self._held[-1] if self._held else {}
        if last.get("type") == "stream_event" and _is_same_speaker(last, message):
            last["event"]["delta"]["text"] += text
        else:
            self._held.append(message)


def called_tool(request: dict[str, Any]) -> str:
    """The tool of ours that a control request calls; empty when it is about something else."""
    body = request.get("request")
    call = body.get("message") if isinstance(body, dict) else None
    if not isinstance(call, dict) or call.get("method") != "tools/call":
        return ""
    return str((call.get("params") or {}).get("name", ""))


def _text_of(message: dict[str, Any]) -> str | None:
    event = message.get("event")
    delta = event.get("delta") if isinstance(event, dict) else None
    if not isinstance(delta, dict) or delta.get("type") != "text_delta":
        return None
    return str(delta.get("text", ""))


def _is_same_speaker(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one.get("parent_tool_use_id") == other.get("parent_tool_use_id"))
