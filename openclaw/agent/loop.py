"""One run of the agent: ask a model, run the tools it calls, ask again, until it has nothing more to call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw.agent.compaction import Compactor, Remember
from openclaw.agent.models import Models, NoModel, Restarted, model_id, provider_of
from openclaw.agent.repetition import Done, decide_repetition, done
from openclaw.agent.tools import ToolContext, ToolRegistry, ToolResult
from openclaw.agent.turns import Turn
from openclaw.transcript import Entry
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.providers import Completed, TextDelta, ToolCall, ToolSpec, Usage

Record = Callable[[dict[str, Any]], Awaitable[Entry]]
"""Makes a message of the conversation durable."""


async def _nothing() -> Sequence[Turn]:
    return ()


@dataclass(slots=True)
class RunEvents:
    """What the loop tells and asks while it works; each may be left out.

    Attributes:
        on_text: the whole text of the run so far.
        on_tool: a call, and its result once it is there.
        steering: what people said meanwhile and want heard now; asked for between two model calls.
        remember: makes a summary durable that replaces the beginning of the conversation.
    """

    on_text: Callable[[str], None] = field(default=lambda _text: None)
    on_tool: Callable[[ToolCall, ToolResult | None], None] = field(default=lambda _call, _result: None)
    steering: Callable[[], Awaitable[Sequence[Turn]]] = _nothing
    remember: Remember | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to.

    Attributes:
        text: the whole text of the run.
        message: the last assistant message, not yet recorded.
        context_tokens: input of the last call: how full the model's window is.
    """

    text: str
    message: dict[str, Any]
    model: str
    usage: Usage
    context_tokens: int


class AgentLoop:
    """Runs the agent over a conversation.

    Args:
        compactor: keeps conversations within the model's window; left out, they are sent as they are.
        max_rounds: model calls in one run.
    """

    def __init__(
        self,
        models: Models,
        tools: ToolRegistry,
        *,
        max_rounds: int,
        compactor: Compactor | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.models = models
        self.tools = tools
        self.compactor = compactor
        self._max_rounds = max_rounds
        self._clock = clock

    async def run(
        self,
        instructions: str,
        turns: Sequence[Turn],
        *,
        context: ToolContext,
        session_id: str,
        record: Record,
        events: RunEvents,
        model: str = "",
        effort: str = "",
    ) -> Answer:
        """Answer the last turn.

        Args:
            instructions: the system prompt.
            turns: the conversation.
            context: for the tools.
            session_id: the transcript's.
            record: makes each message durable.
            events: what is told and asked meanwhile.
            model: asked first; the session's own choice.
            effort: how much a model thinks before it answers; empty for its default.

        Raises:
            NoModel: no model answered, or the agent called tools without end.
        """
        run = _Run(list(turns), context, session_id, record, events, model=model, effort=effort)
        before = ""
        total = Usage()
        for _ in range(self._max_rounds):
            answer = await self._fitting_round(instructions, run, before)
            total = _sum(total, answer.usage)
            message = self._message(answer)
            text = _join(before, answer.text)
            if not answer.calls:
                return Answer(text, message, answer.model, total, answer.usage.input_tokens)
            entry = await record(message)
            said = Turn("assistant", answer.text, answer.calls, native=answer.items, native_for=answer.model)
            run.conversation.append(replace(said, entry_id=entry.id))
            for call in answer.calls:
                await self._call(call, run)
            run.conversation += await events.steering()
            before = text
        raise NoModel(f"the agent called tools {self._max_rounds} times without an answer", code="model.rounds")

    async def _call(self, call: ToolCall, run: _Run) -> None:
        """Run a call, unless the agent goes round in circles; its result joins the conversation."""
        verdict = decide_repetition(run.done, call, self.tools.policy.loop_detection)
        if verdict.level == "stop":
            raise NoModel(f"the agent went round in circles and was stopped: {verdict.reason}", code="agent.loop")
        run.events.on_tool(call, None)
        if verdict.level == "refuse":
            known = next(each.result for each in reversed(run.done) if each.is_same(call))
            run.done.append(Done(call.name, call.arguments, known))
            refused = f"not run: {verdict.reason}. Do something else, or answer with what you have."
            result = ToolResult(refused, is_error=True)
        else:
            result = await self.tools.run(call, run.context)
            run.done.append(done(call, result.text))
            if verdict.level == "warn":
                result = replace(result, text=f"{result.text}\n[note: {verdict.reason}; do not repeat it]")
        if result.outside:
            run.context = replace(run.context, outside=True)
        run.events.on_tool(call, result)
        entry = await run.record(self._tool_message(call, result))
        run.conversation.append(Turn("tool", result.text, call_id=call.id, entry_id=entry.id))

    async def _fitting_round(self, instructions: str, run: _Run, before: str) -> _Round:
        """One model call over a conversation that fits; made shorter and asked again when the model says otherwise."""
        specs = self.tools.specs(run.context.session_key)
        attempt = 0
        while True:
            if self.compactor is not None:
                run.conversation = await self.compactor.fit(
                    instructions,
                    run.conversation,
                    specs,
                    attempt=attempt,
                    run_id=run.context.run_id,
                    session_id=run.session_id,
                    remember=run.events.remember,
                )
            try:
                return await self._round(instructions, specs, run, before)
            except NoModel as error:
                attempt += 1
                if error.code != "model.context_too_long" or self.compactor is None or not self.compactor.may(attempt):
                    raise

    async def _round(self, instructions: str, specs: Sequence[ToolSpec], run: _Run, before: str) -> _Round:
        answer = _Round("", "")
        stream = self.models.stream(
            instructions,
            run.conversation,
            specs,
            run_id=run.context.run_id,
            session_id=run.session_id,
            first=run.model,
            effort=run.effort,
        )
        async for model, event in stream:
            if isinstance(event, Restarted):
                answer = _Round(model, "")
            elif isinstance(event, TextDelta):
                answer = replace(answer, model=model, text=answer.text + event.text)
                run.events.on_text(_join(before, answer.text))
            elif isinstance(event, ToolCall):
                answer = replace(answer, model=model, calls=(*answer.calls, event))
            elif isinstance(event, Completed):
                answer = replace(answer, model=model, usage=event.usage, items=event.items)
        return answer

    def _message(self, answer: _Round) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
        content += [
            {"type": "toolCall", "id": call.id, "name": call.name, "arguments": call.arguments} for call in answer.calls
        ]
        return {
            "role": "assistant",
            "content": content,
            "timestamp": unix_ms(self._clock.now()),
            "provider": provider_of(answer.model),
            "model": model_id(answer.model),
            "usage": {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens},
            "stopReason": "toolUse" if answer.calls else "stop",
        }

    def _tool_message(self, call: ToolCall, result: ToolResult) -> dict[str, Any]:
        message = {
            "role": "toolResult",
            "toolCallId": call.id,
            "toolName": call.name,
            "content": [{"type": "text", "text": result.text}],
            "isError": result.is_error,
            "timestamp": unix_ms(self._clock.now()),
        }
        return {**message, "outside": True} if result.outside else message


@dataclass(slots=True)
class _Run:
    conversation: list[Turn]
    context: ToolContext
    session_id: str
    record: Record
    events: RunEvents
    model: str = ""
    effort: str = ""
    done: list[Done] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Round:
    model: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    items: tuple[Any, ...] = ()


def _join(before: str, text: str) -> str:
    return f"{before}\n\n{text}" if before and text else before or text


def _sum(a: Usage, b: Usage) -> Usage:
    return Usage(
        a.input_tokens + b.input_tokens,
        a.output_tokens + b.output_tokens,
        a.cached_tokens + b.cached_tokens,
        a.reasoning_tokens + b.reasoning_tokens,
    )
