"""What clients are told of a run while it goes on: agent events, chat events, its text as it grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from openclaw.agent.tools import ToolResult
from openclaw.lanes import Run
from openclaw.protocol import events
from openclaw.protocol.frames import compact
from openclaw.transcript import text_message
from shared.clock import Clock, unix_ms
from shared.providers import ToolCall

DELTA_INTERVAL_S: Final = 0.15

Emit = Callable[[str, dict[str, Any]], None]
EmitTool = Callable[[str, dict[str, Any]], None]


class Telling:
    """Makes the events of runs.

    Args:
        emit: broadcasts an event to connected clients.
        emit_tool: sends a tool event to one connection, by its id.
    """

    def __init__(self, emit: Emit, emit_tool: EmitTool, clock: Clock) -> None:
        self._emit = emit
        self._emit_tool = emit_tool
        self._clock = clock

    @property
    def now_ms(self) -> int:
        """Unix milliseconds."""
        return unix_ms(self._clock.now())

    def agent(self, run: Run, stream: str, data: dict[str, Any]) -> None:
        """What the agent does."""
        run.seq += 1
        payload = {
            "runId": run.row.run_id,
            "seq": run.seq,
            "stream": stream,
            "ts": self.now_ms,
            "sessionKey": run.row.session_key,
            "data": data,
        }
        if stream == "tool":
            self._emit_tool(run.tool_target, payload)
        else:
            self._emit(events.AGENT, payload)

    def chat(self, run: Run, state: str, **more: Any) -> None:  # noqa: ANN401 - free JSON
        """What the conversation shows."""
        run.seq += 1
        head = {"runId": run.row.run_id, "sessionKey": run.row.session_key, "seq": run.seq, "state": state}
        self._emit(events.CHAT, head | compact(**more))

    def continued(self, run_id: str, key: str) -> None:
        """A message has to wait: its own run ends, and another one carries it out."""
        self._emit(events.CHAT, {"runId": run_id, "sessionKey": key, "seq": 1, "state": "final"})

    def teller(self, run: Run) -> Teller:
        """Tells of one run while it is answered."""
        return Teller(self, run, self._clock)


class Teller:
    """Turns what the loop says into events: cumulative text, at most one event each 150 ms."""

    def __init__(self, telling: Telling, run: Run, clock: Clock) -> None:
        self._telling = telling
        self._run = run
        self._clock = clock
        self._told = ""
        self._told_at = float("-inf")

    def text(self, text: str) -> None:
        """The whole text of the run so far."""
        self._run.text = text
        if self._run.on_text is not None:
            self._run.on_text(text)
        now = self._clock.monotonic()
        if now - self._told_at < DELTA_INTERVAL_S:
            return
        delta = text.removeprefix(self._told)
        self._told, self._told_at = text, now
        self._telling.agent(self._run, "assistant", {"text": text, "delta": delta})
        self._telling.chat(self._run, "delta", message=text_message("assistant", text, self._clock.now()))

    def tool(self, call: ToolCall, result: ToolResult | None) -> None:
        """A call, and its result once it is there."""
        if result is None and self._run.on_tool is not None:
            self._run.on_tool(call.name)
        phase = "start" if result is None else "result"
        data: dict[str, Any] = {"phase": phase, "name": call.name, "toolCallId": call.id}
        if result is not None:
            data["isError"] = result.is_error
        self._telling.agent(self._run, "tool", data)
