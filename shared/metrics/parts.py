"""Figures that several processes have: messages of chats, and jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, get_args

from shared.channels.inbox import Inbox
from shared.channels.outbox import Outbox
from shared.channels.store.inbox import InboxState
from shared.channels.store.outbox import OutboxState
from shared.clock import Clock
from shared.metrics.figures import Catalogue, Figure, Sheet

_INBOX: Final[tuple[str, ...]] = get_args(InboxState)
_OUTBOX: Final[tuple[str, ...]] = get_args(OutboxState)


def chat_figures(prefix: str) -> Catalogue:
    """What `fill_chat` fills in."""
    return {
        f"{prefix}_messages_in_total": Figure("counter", "Messages that were ever stored, as the inbox numbers them."),
        f"{prefix}_messages_out_total": Figure("counter", "Messages that were ever to be sent, as the outbox has it."),
        f"{prefix}_inbox": Figure("gauge", "Stored inbound messages, by state; settled ones for 30 days.", ("state",)),
        f"{prefix}_inbox_oldest_seconds": Figure("gauge", "How long the oldest message waits for its answer; 0: none."),
        f"{prefix}_outbox": Figure("gauge", "Outbound messages, by state; settled ones for 30 days.", ("state",)),
        f"{prefix}_outbox_retries": Figure("gauge", "Tries so far of messages that are not sent yet."),
    }


async def fill_chat(sheet: Sheet, prefix: str, inbox: Inbox, outbox: Outbox, clock: Clock) -> None:
    """Messages in and out, from what is stored."""
    newest_in, oldest = await inbox.progress()
    newest_out, retries = await outbox.progress()
    sheet.put(f"{prefix}_messages_in_total", newest_in)
    sheet.put(f"{prefix}_messages_out_total", newest_out)
    sheet.put(f"{prefix}_outbox_retries", retries)
    waits_s = (clock.now() - oldest).total_seconds() if oldest else 0.0
    sheet.put(f"{prefix}_inbox_oldest_seconds", max(0.0, waits_s))
    sheet.put_all(f"{prefix}_inbox", await inbox.counts(), known=_INBOX)
    sheet.put_all(f"{prefix}_outbox", await outbox.counts(), known=_OUTBOX)


def job_figures(prefix: str) -> Catalogue:
    """What `fill_jobs` fills in."""
    return {
        f"{prefix}_job_last_success_timestamp_seconds": Figure(
            "gauge", "When a job last ended well, while its newest run did.", ("job",)
        ),
        f"{prefix}_job_next_timestamp_seconds": Figure("gauge", "When a job runs next.", ("job",)),
        f"{prefix}_job_failures": Figure("gauge", "Runs of a job in a row that did not end well.", ("job",)),
    }


def fill_jobs(sheet: Sheet, prefix: str, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Jobs, as `Maintenance.listing` gives them."""
    for job in jobs:
        name = str(job["name"])
        sheet.put(f"{prefix}_job_failures", job["failures"], name)
        sheet.put(f"{prefix}_job_next_timestamp_seconds", _seconds(job["next_at"]), name)
        if job["outcome"] == "ok" and job["ended_at"]:
            sheet.put(f"{prefix}_job_last_success_timestamp_seconds", _seconds(job["ended_at"]), name)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
