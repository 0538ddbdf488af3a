"""``nanoclaw logs``: what became of the newest runs; never what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanoclaw.atrest import ask_or_read
from shared.cli import on_clock, print_json, print_table

if TYPE_CHECKING:
    from nanoclaw.store import RunRecord


def runs_as_json(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Runs as the control socket and ``--json`` give them."""
    return [asdict(r) | {"started_at": r.started_at.isoformat(), "ended_at": r.ended_at.isoformat()} for r in records]


def newest_runs(state: Path | None, tenant: str, group: str, limit: int) -> list[dict[str, Any]]:
    """Ask the running process, or read its database when it is down."""
    from nanoclaw.store import recent_runs

    found: list[dict[str, Any]] = ask_or_read(
        state,
        tenant,
        "runs.list",
        lambda c, tables: runs_as_json(recent_runs(c, tables, limit, folder=group)),
        group=group,
        limit=limit,
    )
    return found


def show_runs(runs: Sequence[dict[str, Any]], zone: tzinfo, *, as_json: bool) -> None:
    """Print runs, newest first, with their times on the owner's clock."""
    if as_json:
        print_json(runs)
        return
    rows = [
        (
            on_clock(r["started_at"], zone, seconds=True),
            r["folder"],
            r["run_id"],
            r["attempt"],
            _seconds(r),
            r["input_tokens"] + r["output_tokens"] or None,
            "ok" if r["ok"] else r["fault"],
            r["reason"],
        )
        for r in runs
    ]
    columns = ("STARTED", "GROUP", "RUN", "TRY", "TOOK", "TOKENS", "RESULT", "REASON")
    print_table(columns, rows, empty="No run yet: write to the bot in a registered chat.")


def _seconds(run: dict[str, Any]) -> str:
    took = datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])
    return f"{took.total_seconds():.1f} s"
