"""``clawgate usage``."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

from click.testing import CliRunner

from gateway.cli.usage import cli
from gateway.store import GatewayStore, LedgerEntry
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.storage import Database

ENTRY = LedgerEntry(
    at=datetime(2020, 1, 1, tzinfo=UTC),
    tenant="openclaw",
    worker_id="",
    route="responses",
    provider="codex",
    model="gpt-5.1",
    status=200,
    input_tokens=1000,
    output_tokens=100,
    first_byte_ms=1,
    total_ms=2,
    bucket="codex-plan",
    auth="oauth",
    cost_micros=2_250,
)


def usage(tmp_path, *arguments):
    return CliRunner().invoke(cli, ["--state", str(tmp_path), *arguments])


def seed(tmp_path, *entries):
    async def write():
        database = Database(Paths.resolve(tmp_path).gateway_db, migrations="gateway.migrations")
        await database.open()
        for entry in entries:
            await GatewayStore(database).record(entry)
        await database.close()

    asyncio.run(write())


def test_nothing_was_asked_and_no_database_is_made_by_looking(tmp_path):
    result = usage(tmp_path)
    assert (result.exit_code, "No model was asked yet." in result.stdout) == (0, True)
    assert re.search(r"^day +each +0 +0 +300 +usd", result.stdout, re.MULTILINE)
    assert not (tmp_path / "gateway").exists()


def test_calls_buckets_and_budgets_are_shown(tmp_path):
    own = operator_file("budgets", Paths.resolve(tmp_path))
    own.parent.mkdir(parents=True)
    own.write_text('[budgets.open]\ntenant = "openclaw"\nlimit = 5\n')
    now = SYSTEM_CLOCK.now()
    seed(tmp_path, ENTRY, replace(ENTRY, at=now), replace(ENTRY, at=now, tenant="nanoclaw", status=429))
    report = json.loads(usage(tmp_path, "--json").stdout)
    assert {(row["tenant"], row["requests"], row["errors"]) for row in report["calls"]} == {
        ("nanoclaw", 1, 1),
        ("openclaw", 2, 0),
    }
    bucket = next(row for row in report["buckets"] if row["name"] == "codex-plan")
    assert (bucket["used"], bucket["requests"], bucket["window"]) == (2200, 2, "5 h")
    hour, day, own_budget = report["budgets"]
    assert [(row["name"], row["scope"], row["limit"], row["used"]) for row in (hour, day)] == [
        ("hour", "", 50, 0),
        ("day", "", 300, 0),
    ], "the shipped ones, which nobody has used yet"
    assert [own_budget] == [
        {
            "name": "open",
            "scope": "openclaw",
            "unit": "usd",
            "limit": 5,
            "used": 0,
            "reserved": 0,
            "left": 5,
            "resets_at": None,
        }
    ]
    recent = json.loads(usage(tmp_path, "--json", "--since", "24h", "--tenant", "openclaw").stdout)
    assert [(row["tenant"], row["requests"]) for row in recent["calls"]] == [("openclaw", 1)]
    mine = json.loads(usage(tmp_path, "--json", "--tenant", "nanoclaw").stdout)["budgets"]
    assert [(row["name"], row["scope"]) for row in mine] == [("hour", "nanoclaw"), ("day", "nanoclaw")]
    shown = usage(tmp_path).stdout
    assert "codex-plan" in shown
    assert "0.0045" in shown


def test_a_wrong_span_is_explained(tmp_path):
    for span in ("3x", "0h", "-1d", "999999d", "24"):
        result = usage(tmp_path, "--since", span)
        assert result.exit_code == 2
        assert "30m, 24h or 7d" in result.output
