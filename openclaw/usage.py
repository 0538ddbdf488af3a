"""What runs used, added up for people: by day, session, model and channel. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

from openclaw.agent.models import model_id, provider_of
from openclaw.store import UsageRow
from shared.clock import unix_ms

_COSTS: Final = {
    "totalCost": 0,
    "inputCost": 0,
    "outputCost": 0,
    "cacheReadCost": 0,
    "cacheWriteCost": 0,
}
"""Both providers are subscriptions: a run has no price of its own, and says so in ``missingCostEntries``."""


def totals(rows: Iterable[UsageRow]) -> dict[str, int]:
    """Tokens of some runs in the protocol's fields. Cached input is counted apart from the rest of the input."""
    fresh = output = cached = count = 0
    for row in rows:
        fresh += max(0, row.input_tokens - row.cached_tokens)
        output += row.output_tokens
        cached += row.cached_tokens
        count += 1
    tokens = {"input": fresh, "output": output, "cacheRead": cached, "cacheWrite": 0}
    return {**tokens, "totalTokens": fresh + output + cached, **_COSTS, "missingCostEntries": count}


def message_counts(counts: Iterable[tuple[str, str, int]]) -> dict[str, int]:
    """Messages by kind, from ``(session_id, role, count)``; every result of a tool had its call."""
    by_role: dict[str, int] = {}
    for _, role, count in counts:
        by_role[role] = by_role.get(role, 0) + count
    user, assistant, tools = (by_role.get(role, 0) for role in ("user", "assistant", "toolResult"))
    return {
        "total": user + assistant + tools,
        "user": user,
        "assistant": assistant,
        "toolCalls": tools,
        "toolResults": tools,
        "errors": 0,
    }


def day_of(moment: datetime, zone: timezone) -> str:
    """The calendar day of a moment in a zone."""
    return moment.astimezone(zone).date().isoformat()


def days_between(start: date, end: date, zone: timezone) -> tuple[datetime, datetime]:
    """The span from the beginning of one day to the end of another."""
    begin = datetime(start.year, start.month, start.day, tzinfo=zone)
    return begin.astimezone(UTC), (begin + (end - start) + timedelta(days=1)).astimezone(UTC)


def grouped(rows: Iterable[UsageRow], key: Callable[[UsageRow], str]) -> dict[str, list[UsageRow]]:
    """Rows by a key, in the order in which the keys come up."""
    groups: dict[str, list[UsageRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def by_day(rows: Sequence[UsageRow], zone: timezone) -> list[dict[str, Any]]:
    """Totals of each day that has any."""
    days = grouped(rows, lambda row: day_of(row.at, zone))
    return [{"date": day, **totals(group)} for day, group in sorted(days.items())]


def by_model(rows: Sequence[UsageRow]) -> list[dict[str, Any]]:
    """Totals of each model, the most used first."""
    models = grouped(rows, lambda row: row.model)
    found = [
        {"provider": provider_of(ref), "model": model_id(ref), "count": len(group), "totals": totals(group)}
        for ref, group in models.items()
    ]
    return sorted(found, key=lambda entry: -entry["totals"]["totalTokens"])


def by_name(rows: Sequence[UsageRow], name: str, key: Callable[[UsageRow], str]) -> list[dict[str, Any]]:
    """Totals by any other key."""
    return [{name: value, "totals": totals(group)} for value, group in grouped(rows, key).items()]


def points(rows: Sequence[UsageRow]) -> list[dict[str, Any]]:
    """One session's runs in the order of time, with what was used up to each."""
    shown: list[dict[str, Any]] = []
    so_far = 0
    for row in rows:
        used = totals([row])
        so_far += used["totalTokens"]
        kept = {name: used[name] for name in ("input", "output", "cacheRead", "cacheWrite", "totalTokens")}
        shown.append({"timestamp": unix_ms(row.at), **kept, "cost": 0, "cumulativeTokens": so_far, "cumulativeCost": 0})
    return shown
