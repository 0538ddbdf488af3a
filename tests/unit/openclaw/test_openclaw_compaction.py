"""A conversation is kept within the window, whatever a model says, and later turns begin with the summary."""

from __future__ import annotations

import pytest

from openclaw.agent.compaction import Compactor, boundary, estimated_tokens
from openclaw.agent.models import NoModel
from openclaw.agent.policy import CompactionPolicy
from openclaw.agent.turns import Turn, holds_outside, turns_of
from openclaw.transcript import COMPACTION, Entry
from shared.providers import Completed, TextDelta, ToolCall
from shared.providers.catalog import shipped_catalog

POLICY = CompactionPolicy(reserve_tokens=20_000, keep_tokens=20_000)


class Summarizer:
    """Stands for the models: an answer, or a failure."""

    refs = ("github-copilot/gpt-5-mini",)
    catalog = shipped_catalog()

    def __init__(self, answer: str | None = "short") -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def stream(self, _instructions, turns, _tools, **_more):
        self.asked.append(turns[0].text)
        if self.answer is None:
            raise NoModel("nobody answers")
        yield "m", TextDelta(self.answer)
        yield "m", Completed()


def talk(rounds: int, chars: int) -> list[Turn]:
    turns = []
    for number in range(rounds):
        turns.append(Turn("user", f"question {number} " + "q" * chars, entry_id=f"u{number}"))
        call = ToolCall(f"c{number}", "read", "{}")
        turns.append(Turn("assistant", "", (call,), entry_id=f"a{number}"))
        turns.append(Turn("tool", "r" * chars, call_id=call.id, entry_id=f"t{number}"))
    return turns


async def fit(models, turns, attempt=0):
    kept = []

    async def remember(summary):
        kept.append(summary)

    compactor = Compactor(models, POLICY)
    shorter = await compactor.fit("be kind", turns, [], attempt=attempt, run_id="r", session_id="s", remember=remember)
    return shorter, kept, compactor.window - POLICY.reserve_tokens


async def test_what_fits_is_left_as_it_is():
    models, turns = Summarizer(), talk(3, 1000)
    assert (await fit(models, turns))[0] is turns
    assert models.asked == []


async def test_old_tool_results_go_first_and_no_model_is_asked_for_that():
    models = Summarizer()
    turns = [turn if turn.role == "tool" else Turn(turn.role, turn.text[:50], turn.calls) for turn in talk(20, 30_000)]
    shorter, kept, room = await fit(models, turns)
    assert estimated_tokens("be kind", shorter, []) <= room
    assert models.asked == []
    assert kept == []
    assert len(shorter) == len(turns)
    assert shorter[-1] == turns[-1]


@pytest.mark.parametrize("answer", ["short", None, "", "s" * 2_000_000])
async def test_a_summary_replaces_the_beginning_whatever_the_model_answers(answer):
    models = Summarizer(answer)
    turns = talk(60, 20_000)
    shorter, [summary], room = await fit(models, turns)
    assert estimated_tokens("be kind", shorter, []) <= room
    assert shorter[0].role == "user"
    assert summary.text in shorter[0].text
    assert summary.first_kept == shorter[1].entry_id
    assert shorter[1].role != "tool"
    assert shorter[-1].entry_id == turns[-1].entry_id
    assert len(models.asked) <= 8
    called = {call.id for turn in shorter for call in turn.calls}
    assert {turn.call_id for turn in shorter if turn.role == "tool"} <= called


async def test_each_attempt_makes_it_shorter_and_they_are_bounded():
    sizes = []
    for attempt in range(4):
        shorter, _, _ = await fit(Summarizer(), talk(60, 20_000), attempt)
        sizes.append(estimated_tokens("be kind", shorter, []))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < sizes[0]
    compactor = Compactor(Summarizer(), POLICY)
    assert [compactor.may(attempt) for attempt in (1, 3, 4)] == [True, True, False]


async def test_one_message_that_alone_is_too_large_loses_its_middle():
    shorter, _, room = await fit(Summarizer(), [Turn("user", "begin" + "x" * 3_000_000 + "end")])
    assert estimated_tokens("be kind", shorter, []) <= room
    assert shorter[0].text.startswith("begin")
    assert shorter[0].text.endswith("end")


def test_the_cut_is_never_between_a_call_and_its_result():
    turns = talk(10, 4000)
    for keep in range(0, 40_000, 700):
        cut = boundary(turns, keep)
        assert cut < len(turns)
        assert turns[cut].role != "tool"


def entry(identity: str, role: str, text: str, **more) -> Entry:
    return Entry(identity, "r", {"role": role, "content": [{"type": "text", "text": text}], **more})


def test_later_turns_begin_with_the_last_summary():
    entries = [
        entry("1", "user", "old"),
        entry("2", "assistant", "older answer"),
        entry("3", "user", "kept question"),
        entry("4", COMPACTION, "first summary", firstKeptEntryId="2"),
        entry("5", "assistant", "kept answer"),
        entry("6", COMPACTION, "the summary", firstKeptEntryId="3", outside=True),
        entry("7", "user", "new"),
    ]
    turns = turns_of(entries, max_chars=10_000)
    assert [turn.text.rsplit("\n", 1)[-1] for turn in turns] == ["the summary", "kept question", "kept answer", "new"]
    assert holds_outside(entries)
    assert not holds_outside(entries[:5])
