"""Budgets on a real database: room is taken before a call and settled after it, and parallel calls cannot overshoot."""

from __future__ import annotations

import asyncio
import math
import random
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

import gateway.ledger
from gateway.budget.models import BudgetExhaustedError, Estimate
from gateway.budget.policy import BudgetsPolicy, load_budgets
from gateway.budget.service import Budget
from gateway.budget.tariff import Tariff, estimate_of
from gateway.budget.windows import ResetRule
from gateway.ledger import Ledger, usage_report
from gateway.modelproxy.dialects import error_answer
from gateway.modelproxy.identity import ModelIdentity, RequestRecord
from gateway.store import GatewayStore
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.errors import ConfigError, Invalid
from shared.providers.failures import parse_failure
from shared.providers.fallback import classify
from shared.storage import Database
from tests.support.log_capture import heard_from

OPEN = ModelIdentity("openclaw", "", "", frozenset())
NANO = ModelIdentity("nanoclaw", "family", "w1", frozenset())
RECORD = RequestRecord(
    tenant="openclaw",
    group="",
    worker_id="",
    route="responses",
    provider="codex",
    model="gpt-5.1",
    status=200,
    outcome="answered",
    auth="oauth",
    first_byte_ms=1.0,
    total_ms=2.0,
    input_tokens=1000,
    output_tokens=100,
    cached_tokens=400,
    request_bytes=10,
    request_id="req_1",
)


def policy(**budgets) -> BudgetsPolicy:
    prices = {"*": {"input": 5, "output": 25, "cached": 0.5}, "gpt-5.1": {"input": 1, "output": 10, "cached": 0.1}}
    bucket = {"kind": "plan_window", "provider": "codex", "unit": "tokens", "reset": {"every": "day"}}
    return BudgetsPolicy.model_validate({"prices": prices, "buckets": {"plan": bucket}, "budgets": budgets})


@asynccontextmanager
async def opened(folder, rules, clock=None):
    clock = clock or FakeClock()
    database = Database(folder / "gateway.db", migrations="gateway.migrations")
    await database.open()
    try:
        store = GatewayStore(database, clock)
        yield Budget(store, rules, clock=clock), store
    finally:
        await database.close()


async def take(budget, tokens=100, identity=OPEN, **more):
    return await budget.reserve(identity, "codex", "gpt-5.1", Estimate(tokens, 0), **more)


async def counter(store):
    (only,) = await store.counters()
    return only.used, only.reserved


async def test_room_is_set_aside_and_replaced_by_the_cost(tmp_path):
    rules = policy(day={"unit": "tokens", "limit": 2000, "reset": {"every": "day"}})
    async with opened(tmp_path, rules) as (budget, store):
        reservation = await take(budget, 1500, run_id="run_1")
        assert await counter(store) == (0, 1500)
        await budget.settle(reservation, RECORD)
        await budget.settle(reservation, RECORD)
        assert await counter(store) == (1100, 0)
        (row,) = await store.usage()
        assert row | {"requests": 1, "input_tokens": 1000, "cached_tokens": 400, "bucket": "plan"} == row
        assert row["cost_micros"] == 600 * 1 + 40 + 100 * 10


async def test_a_call_that_was_never_sent_costs_nothing_and_is_no_row(tmp_path):
    rules = policy(day={"unit": "requests", "limit": 1})
    async with opened(tmp_path, rules) as (budget, store):
        await budget.settle(await take(budget), None)
        assert await counter(store) == (0, 0)
        assert await store.usage() == []
        await take(budget)


async def test_the_refusal_quotes_the_counter_that_usage_shows(tmp_path):
    clock = FakeClock(datetime(2026, 3, 9, 22, tzinfo=UTC))
    rules = policy(**{"open-day": {"tenant": "openclaw", "unit": "tokens", "limit": 1000, "reset": {"every": "day"}}})
    async with opened(tmp_path, rules, clock) as (budget, store):
        await budget.settle(await take(budget, 700), replace(RECORD, input_tokens=600, output_tokens=0))
        await take(budget, 300)
        with pytest.raises(BudgetExhaustedError) as caught:
            await take(budget, 200)
        (shown,) = (await usage_report(store, rules, clock.now()))["budgets"]
        assert (shown["used"], shown["reserved"], shown["left"]) == (600, 300, 100)
        assert shown["resets_at"] == "2026-03-10T00:00:00+00:00"
        assert "900 tokens of 1000 tokens are used or set aside and it may cost 200 tokens" in caught.value.detail
        assert "resets at 2026-03-10 00:00 UTC" in caught.value.detail
        assert caught.value.retry_after_s == 7200
        status, headers, body = error_answer("openai", caught.value)
        assert (status, dict(headers)[b"retry-after"], dict(headers)[b"x-should-retry"]) == (429, b"7200", b"false")
        assert b'"budget.exhausted"' in body
        await take(budget, 100, NANO)  # another tenant's is its own
        clock.advance(7200)
        await take(budget, 700)
        assert await counter(store) == (0, 1000), "what is under way goes along into the new window"


@pytest.mark.parametrize("dialect", ["openai", "responses", "anthropic"])
async def test_a_refusal_reaches_the_tenant_in_every_dialect_with_its_words(tmp_path, dialect):
    async with opened(tmp_path, policy(day={"unit": "requests", "limit": 0, "reset": {"every": "day"}})) as (budget, _):
        with pytest.raises(BudgetExhaustedError) as caught:
            await take(budget)
    status, headers, body = error_answer(dialect, caught.value)
    failed = parse_failure(status, {name.decode(): value.decode() for name, value in headers}, body)
    assert failed.message.startswith("the budget day of openclaw has no room for this call: 0 requests of 0 requests")
    assert "resets at 2026-01-02 00:00 UTC" in failed.message
    if dialect != "anthropic":  # whose errors have no code; no tenant falls back on that route
        assert classify(failed) == "budget"


async def test_a_call_takes_room_in_all_its_budgets_or_in_none(tmp_path):
    rules = policy(wide={"unit": "tokens", "limit": 10_000}, narrow={"per": "run", "unit": "requests", "limit": 1})
    async with opened(tmp_path, rules) as (budget, store):
        await take(budget, run_id="a")
        with pytest.raises(BudgetExhaustedError, match=r"narrow of openclaw/a"):
            await take(budget, run_id="a")
        await take(budget, run_id="b")
        for identity in (OPEN, NANO):
            await take(budget, identity=identity)
        with pytest.raises(BudgetExhaustedError, match=r"narrow of nanoclaw/w1"):
            await take(budget, identity=NANO)
        with pytest.raises(BudgetExhaustedError, match=r"narrow of openclaw/no-run"):
            await take(budget)
        wide = [row for row in await store.counters() if row.name == "wide"]
        assert sorted((row.scope, row.reserved) for row in wide) == [("nanoclaw", 100), ("openclaw", 300)]


async def test_a_caller_that_leaves_while_room_is_taken_leaves_nothing_set_aside(tmp_path):
    rules = policy(day={"unit": "tokens", "limit": 100_000})
    async with opened(tmp_path, rules) as (budget, store):
        for turns in range(12):
            leaving = asyncio.create_task(take(budget, 100))
            for _ in range(turns % 4 + 1):
                await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        await budget.close()
        assert await counter(store) == (0, 0)


async def test_a_worker_is_not_asked_which_run_it_works_for(tmp_path):
    rules = policy(run={"per": "run", "unit": "requests", "limit": 1})
    async with opened(tmp_path, rules) as (budget, store):
        known = Budget(store, rules, run_of={"w1": "run_7"}.get)
        assert (await known.admit(NANO, "codex", "m", {}, 9, run_id="made-up")).run_id == "run_7"
        with pytest.raises(BudgetExhaustedError, match="run_7"):
            await known.admit(NANO, "codex", "m", {}, 9, run_id="another")
        assert (await budget.admit(OPEN, "codex", "m", {}, 9, run_id="r" * 200)).run_id == "r" * 200
        assert {row.scope for row in await store.counters()} == {"nanoclaw/run_7", "openclaw/" + "r" * 64}


async def test_only_the_budgets_that_apply_are_asked(tmp_path):
    off = {"limit": 0, "unit": "requests"}
    rules = policy(a={"tenant": "nanoclaw", **off}, b={"provider": "claude", **off}, c={"bucket": "plan", **off})
    async with opened(tmp_path, rules) as (budget, store):
        await budget.reserve(OPEN, "copilot", "gpt-5-mini", Estimate(1, 1))
        assert await store.counters() == []
        for identity, provider in ((NANO, "copilot"), (OPEN, "claude"), (OPEN, "codex")):
            with pytest.raises(BudgetExhaustedError):
                await budget.reserve(identity, provider, "m", Estimate(1, 1))


@pytest.mark.parametrize("seed", range(4))
async def test_parallel_calls_never_overshoot(tmp_path, seed):
    """Two stores on one file, as two processes would be; every call costs at most what was set aside for it."""
    chance = random.Random(seed)
    limit = 5_000
    rules = policy(day={"unit": "tokens", "limit": limit}, runs={"unit": "requests", "limit": 30})
    let_through = refused = 0
    under_way = most = spent = 0

    async with opened(tmp_path, rules) as (one, store), opened(tmp_path, rules) as (two, _):

        async def call(budget):
            nonlocal let_through, refused, under_way, most, spent
            estimate = chance.randint(1, 400)
            try:
                reservation = await take(budget, estimate)
            except BudgetExhaustedError:
                refused += 1
                return
            let_through += 1
            under_way += estimate
            most = max(most, spent + under_way)
            await asyncio.sleep(chance.random() / 200)
            cost = chance.randint(0, estimate)
            record = replace(RECORD, input_tokens=cost, output_tokens=0, cached_tokens=0)
            sent = chance.random() > 0.1
            under_way -= estimate
            spent += (cost or estimate) if sent else 0
            await budget.settle(reservation, record if sent else None)

        await asyncio.gather(*(call(chance.choice((one, two))) for _ in range(120)))
        counters = {row.name: row for row in await store.counters()}
        assert counters["day"].used == spent <= limit
        assert most <= limit
        assert counters["runs"].used <= 30
        assert {row.reserved for row in counters.values()} == {0}
        assert let_through + refused == 120
        assert refused > 0


async def test_what_a_dead_process_had_under_way_is_charged_in_full(tmp_path):
    rules = policy(day={"unit": "tokens", "limit": 1000})
    async with opened(tmp_path, rules) as (budget, _):
        await take(budget, 400)
    async with opened(tmp_path, rules) as (budget, store):
        assert await budget.recover() == 1
        assert await budget.recover() == 0
        assert await counter(store) == (400, 0)


async def test_old_run_counters_are_forgotten_and_changed_rules_take_effect(tmp_path):
    clock = FakeClock()
    async with opened(tmp_path, policy(run={"per": "run", "unit": "tokens", "limit": 500}), clock) as (budget, store):
        await budget.settle(await take(budget, run_id="r"), RECORD)
        clock.advance(15 * 86_400)
        await budget.recover()
        assert await store.counters() == []
    rules = policy(day={"unit": "tokens", "limit": 2000})
    async with opened(tmp_path, rules, clock) as (budget, store):
        await budget.settle(await take(budget), RECORD)
    rules = policy(day={"unit": "tokens", "limit": 2000, "reset": {"every": "day"}})
    async with opened(tmp_path, rules, clock) as (budget, store):
        await take(budget, 900)
        assert await counter(store) == (1100, 900)
        clock.advance(86_400)
        await take(budget, 1)
        assert await counter(store) == (0, 901)


async def test_the_ledger_settles_what_the_proxy_hands_over(tmp_path):
    rules = policy(day={"unit": "tokens", "limit": 5000})
    async with opened(tmp_path, rules) as (budget, store):
        ledger = Ledger(store, budget=budget)
        ledger.note(RECORD, await take(budget, 2000, run_id="run_9"))
        ledger.note(replace(RECORD, status=429, input_tokens=0, output_tokens=0, cached_tokens=0))
        await ledger.close()
        assert await counter(store) == (1100, 0)
        (row,) = await store.usage()
        assert (row["requests"], row["errors"], row["bucket"]) == (2, 1, "plan")


async def test_a_call_that_was_refused_is_written_down_with_its_run(tmp_path, monkeypatch):
    logs = heard_from(gateway.ledger, monkeypatch)
    rules = policy(day={"unit": "tokens", "limit": 5})
    async with opened(tmp_path, rules) as (_, store):
        budget = Budget(store, rules, run_of={"w1": "run_7"}.get)
        ledger = Ledger(store, budget=budget)
        refused = replace(RECORD, status=429, outcome="refused", auth="", input_tokens=0, output_tokens=0)
        ledger.note(replace(refused, worker_id="w1", run_id="made-up"))
        ledger.note(replace(refused, run_id="run_of_openclaw"))
        await ledger.close()
        assert [line["run_id"] for line in logs] == ["run_7", "run_of_openclaw"]
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as database:
        assert {run for (run,) in database.execute("SELECT run_id FROM model_request")} == {"run_7", "run_of_openclaw"}


async def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'gateway.db'}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(files("gateway.migrations")))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO model_request (at, tenant, worker_id, route, provider, model, status, input_tokens,"
                " output_tokens, first_byte_ms, total_ms)"
                " VALUES ('2026-01-01', 'old', '', 'r', 'codex', 'm', 200, 5, 6, 0, 0)"
            )
        )
    engine.dispose()
    async with opened(tmp_path, policy()) as (_, store):
        (row,) = await store.usage()
        assert (row["tenant"], row["input_tokens"], row["cost_micros"], row["bucket"]) == ("old", 5, 0, "")


# --- what things cost ------------------------------------------------------------------------------------------------


def shipped(tmp_path) -> BudgetsPolicy:
    return load_budgets(Paths(tmp_path / "s", tmp_path / "r"))


@pytest.mark.parametrize(
    ("call", "bucket"),
    [
        (("claude", "oauth", "claude-sonnet-4-5"), "claude-plan"),
        (("claude", "api_key", "claude-sonnet-4-5"), "claude-prepaid"),
        (("codex", "oauth", "gpt-5.1"), "codex-plan"),
        (("copilot", "token", "gpt-5-mini"), "copilot-included"),
        (("copilot", "token", "claude-opus-4.6"), "copilot-premium"),
        (("else", "token", "m"), ""),
    ],
)
def test_a_call_is_paid_from_one_bucket(tmp_path, call, bucket):
    assert shipped(tmp_path).bucket_of(*call) == bucket


def test_a_long_prompt_costs_more_for_every_token_of_the_call(tmp_path):
    tariff = Tariff(load_budgets(Paths(tmp_path, tmp_path)))
    at_the_edge = tariff.cost("copilot", "gemini-2.5-pro", fresh=150_000, cached=50_000, output=1000)
    beyond = tariff.cost("copilot", "gemini-2.5-pro", fresh=150_001, cached=50_000, output=1000)
    assert at_the_edge.usd == 150_000 * 1.25 + 50_000 * 0.125 + 1000 * 10
    assert beyond.usd == math.ceil(150_001 * 2.5 + 50_000 * 0.25 + 1000 * 15)


def test_prices_and_premium_requests(tmp_path):
    tariff = Tariff(shipped(tmp_path))
    assert tariff.policy.price_of("claude-opus-4-5-20251101").input == 5
    assert tariff.policy.price_of("claude-opus-4-1-20250805").input == 15
    assert tariff.policy.price_of("gpt-4o-mini").input == 0.15
    assert tariff.policy.price_of("who-knows").output == 25
    assert tariff.policy.price_of("claude-opus-4-20250514").input == 15
    assert tariff.policy.price_of("claude-opus-5-5").cached == 0.2
    assert tariff.policy.price_of("gpt-5.6-terra").input == 2
    copilot = replace(RECORD, provider="copilot", auth="token")
    for model, premium in (("gpt-5-mini", 0), ("claude-opus-4.6", 3_000_000), ("gemini-3-flash", 330_000), ("", 0)):
        assert tariff.of_record(replace(copilot, model=model)).premium_requests == premium
    assert tariff.of_record(replace(copilot, model="gpt-5.1", status=429)).premium_requests == 0


def test_what_the_provider_never_said_is_charged_as_estimated(tmp_path):
    tariff, estimate = Tariff(shipped(tmp_path)), Estimate(500, 50)
    silent = replace(RECORD, input_tokens=0, output_tokens=0, cached_tokens=0)
    assert tariff.of_record(replace(silent, outcome="cut"), estimate).tokens == 550
    assert tariff.of_record(replace(silent, outcome="client_gone", status=499), estimate).tokens == 550
    assert tariff.of_record(replace(silent, status=500), estimate).tokens == 0
    assert tariff.of_record(replace(silent, outcome="refused", auth="", status=429), estimate).requests == 0


def test_an_estimate_covers_the_longest_answer_a_request_allows():
    rules = policy()
    assert estimate_of({"max_tokens": 10, "max_output_tokens": 70}, 301, rules) == Estimate(101, 70)
    assert estimate_of({"max_tokens": 64000.0}, 0, rules).output_tokens == 64000
    for nothing in ({}, {"max_tokens": None}):
        assert estimate_of(nothing, 0, rules).output_tokens == rules.default_output_tokens


@pytest.mark.parametrize("junk", ["9", True, -1, 1.5, [9], float("inf"), float("nan")])
def test_a_limit_that_is_no_number_of_tokens_is_refused_by_name(junk):
    with pytest.raises(Invalid, match=r"^max_completion_tokens: must be a whole number"):
        estimate_of({"max_tokens": 5, "max_completion_tokens": junk}, 0, policy())


def test_hanging_up_before_the_answer_is_counted_saves_nothing(tmp_path):
    tariff, estimate = Tariff(shipped(tmp_path)), Estimate(500, 64000)
    begun = replace(
        RECORD, input_tokens=25, output_tokens=1, cached_tokens=0, outcome="client_gone", is_final=False, total_ms=2000
    )
    assert tariff.of_record(replace(begun, said_bytes=90_001), estimate).tokens == 25 + 30_001
    assert tariff.of_record(replace(begun, said_bytes=90_001, outcome="cut"), estimate).tokens == 25 + 30_001
    # Nothing but hidden thoughts, for two seconds: an honest one who interrupts does not pay for an hour of them.
    assert tariff.of_record(begun, estimate).tokens == 25 + 400
    assert tariff.of_record(begun, Estimate(500, 30)).tokens == 25 + 30
    # Counted to its end already, and answered whole: the provider's word counts.
    assert tariff.of_record(replace(begun, said_bytes=90_001, is_final=True), estimate).tokens == 26
    assert tariff.of_record(replace(begun, said_bytes=90_001, outcome="answered"), estimate).tokens == 26
    # Dialects that count only at the end: the prompt as estimated, the answer as far as it came.
    silent = replace(begun, input_tokens=0, output_tokens=0, said_bytes=301)
    assert tariff.of_record(silent, estimate).tokens == 500 + 101


@pytest.mark.parametrize(
    ("rule", "now", "start", "end"),
    [
        ({"every": "never"}, "2026-05-06T10", None, None),
        ({"every": "day"}, "2026-05-06T10", "2026-05-06T00", "2026-05-07T00"),
        ({"every": "week"}, "2026-05-06T10", "2026-05-04T00", "2026-05-11T00"),
        ({"every": "week"}, "2026-05-04T00", "2026-05-04T00", "2026-05-11T00"),
        ({"every": "month"}, "2026-12-31T23", "2026-12-01T00", "2027-01-01T00"),
        ({"every": "month"}, "2027-01-01T00", "2027-01-01T00", "2027-02-01T00"),
        ({"every": "month", "day": 15}, "2026-01-14T10", "2025-12-15T00", "2026-01-15T00"),
        ({"every": "hours", "hours": 5}, "2026-05-06T10", "2026-05-06T05", "2026-05-06T15"),
    ],
)
def test_windows(rule, now, start, end):
    def moment(text):
        return None if text is None else datetime.fromisoformat(f"{text}:00:00+00:00")

    reset = ResetRule.model_validate(rule)
    assert (reset.start_of(moment(now)), reset.end_of(moment(now))) == (moment(start), moment(end))


def test_a_window_holds_the_moment_it_was_made_for():
    now = datetime(2025, 12, 1, 7, 30, tzinfo=UTC)
    for every in ("day", "week", "month", "hours"):
        for step in range(0, 60 * 24, 7):
            at = now + timedelta(days=step / 24 * 5)
            rule = ResetRule(every=every, day=28)
            assert rule.start_of(at) <= at < rule.end_of(at)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[budgets.x]\nlimit = 1\nunit = "euro"\n', "unit"),
        ("[budgets.x]\nlimits = 1\n", "limit"),
        ('[budgets.x]\nlimit = 1\nbucket = "none"\n', "no bucket 'none'"),
        ("[budgets.x]\nlimit = -1\n", "limit"),
        ("[budgets.x\n", "TOML"),
    ],
)
def test_a_mistake_in_the_policy_is_named(tmp_path, text, said):
    paths = Paths(tmp_path / "s", tmp_path / "r")
    own = operator_file("budgets", paths)
    own.parent.mkdir(parents=True)
    own.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_budgets(paths)
