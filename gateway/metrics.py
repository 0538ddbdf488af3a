"""The gateway's figures: calls, credentials, budgets, workers, jobs, posts, web access (docs/metrics.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, get_args

from gateway.budget.policy import BudgetsPolicy
from gateway.credentials.models import CredentialStatus
from gateway.egress.store import EgressStore, RequestDecision
from gateway.ledger import budget_rows
from gateway.maintenance.disk import look
from gateway.modelproxy.counts import ModelCalls
from gateway.notices.store import NoticeStore
from gateway.social.graph.authority import AuthorityKeeper
from gateway.social.models import State as PostState
from gateway.store import GatewayStore
from gateway.workers.pool import WorkerPool
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.gatewayclient.models import WorkerState
from shared.maintenance.service import Maintenance
from shared.metrics.figures import Catalogue, Durations, Figure, Sheet
from shared.metrics.parts import fill_jobs, job_figures
from shared.metrics.serving import with_process_figures

CATALOGUE: Final[Catalogue] = with_process_figures(
    "clawgate",
    {
        "clawgate_model_requests_total": Figure(
            "counter",
            "Model calls, by tenant, provider, status and outcome.",
            ("tenant", "provider", "status", "outcome"),
        ),
        "clawgate_model_request_seconds": Figure("histogram", "How long model calls took.", ("provider",)),
        "clawgate_model_first_byte_seconds": Figure("histogram", "Until the first byte of an answer.", ("provider",)),
        "clawgate_model_tokens_total": Figure("counter", "Tokens: input, of it cached, output.", ("provider", "kind")),
        "clawgate_model_cost_usd_total": Figure("counter", "Cost at list prices.", ("provider",)),
        "clawgate_credential_expires_in_seconds": Figure(
            "gauge", "Until an access token ends; it is refreshed before.", ("provider", "tenant")
        ),
        "clawgate_credential_needs_person": Figure(
            "gauge", "1 when a person has to sign in again.", ("provider", "tenant")
        ),
        "clawgate_budget_used_ratio": Figure(
            "gauge",
            "Used and set aside of a budget; of the fullest one, where each run or tenant has its own.",
            ("budget",),
        ),
        "clawgate_workers": Figure("gauge", "Worker containers.", ("state",)),
        "clawgate_workers_max": Figure("gauge", "How many may run at once."),
        "clawgate_worker_lease_seconds": Figure(
            "histogram", "Until a tenant had its worker: one that ran, a new one, or none.", ("result",)
        ),
        "clawgate_graph_certificate_ends_in_seconds": Figure(
            "gauge", "Until the certificate for agents' calls to the Graph hosts ends; another one follows before."
        ),
        "clawgate_posts": Figure(
            "gauge", "Posts, by state; awaiting_approval and needs_attention want a person.", ("state",)
        ),
        "clawgate_egress_decisions_total": Figure(
            "counter", "Web requests of agents, by what was decided.", ("decision",)
        ),
        "clawgate_notices_waiting": Figure("gauge", "Notices that the owner has not been told yet."),
        "clawgate_disk_free_bytes": Figure("gauge", "Room where the state lies."),
        "clawgate_disk_size_bytes": Figure("gauge", "Size of that file system."),
        "clawgate_disk_used_bytes": Figure(
            "gauge", "What a group's files take, or all of a tenant where group is empty.", ("tenant", "group")
        ),
        "clawgate_disk_budget_bytes": Figure("gauge", "What it may take.", ("tenant", "group")),
        **job_figures("clawgate"),
    },
)
"""Every figure of the gateway; beside them the standard ``process_*`` ones."""

_LEASE_BOUNDS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_NEED_A_PERSON: Final = frozenset({"login_needed", "unreadable", "expired"})
_POST_STATES: Final[tuple[str, ...]] = get_args(PostState)
_WORKER_STATES: Final[tuple[str, ...]] = get_args(WorkerState)
_DECISIONS: Final[tuple[str, ...]] = get_args(RequestDecision)


@dataclass
class Counts:
    """What is counted in the gateway as it happens."""

    calls: ModelCalls = field(default_factory=ModelCalls)
    leases: Durations = field(default_factory=lambda: Durations(_LEASE_BOUNDS))


@dataclass(frozen=True, slots=True)
class GatewayFigures:
    """Reads the figures of one gateway.

    Attributes:
        sign_ins: every credential's state.
    """

    counts: Counts
    store: GatewayStore
    budgets: BudgetsPolicy
    sign_ins: Callable[[], Awaitable[list[CredentialStatus]]]
    pool: WorkerPool
    max_workers: int
    posts: Callable[[], Awaitable[dict[str, int]]]
    authority: AuthorityKeeper
    egress: EgressStore
    notices: NoticeStore
    maintenance: Maintenance
    paths: Paths
    clock: Clock = SYSTEM_CLOCK

    @property
    def catalogue(self) -> Catalogue:
        """All that there may be."""
        return CATALOGUE

    async def fill(self, sheet: Sheet) -> None:
        """Fill in what there is now."""
        self.counts.calls.fill(sheet)
        sheet.put_durations("clawgate_worker_lease_seconds", self.counts.leases)
        sheet.put_all("clawgate_workers", Counter(worker.state for worker in self.pool.list()), known=_WORKER_STATES)
        sheet.put("clawgate_workers_max", self.max_workers)
        left = self.authority.current.ends - self.clock.now()
        sheet.put("clawgate_graph_certificate_ends_in_seconds", left.total_seconds())
        sheet.put_all("clawgate_posts", await self.posts(), known=_POST_STATES)
        sheet.put_all("clawgate_egress_decisions_total", self.egress.decisions, known=_DECISIONS)
        sheet.put("clawgate_notices_waiting", len(await self.notices.waiting()))
        fill_jobs(sheet, "clawgate", await self.maintenance.listing())
        disk = await asyncio.to_thread(look, self.paths.state)
        sheet.put("clawgate_disk_free_bytes", disk.free)
        sheet.put("clawgate_disk_size_bytes", disk.total)
        for use in self.pool.rooms.known():
            sheet.put("clawgate_disk_used_bytes", use.used_bytes, use.tenant, use.group)
            sheet.put("clawgate_disk_budget_bytes", use.limit_bytes, use.tenant, use.group)
        await self._fill_credentials(sheet)
        await self._fill_budgets(sheet)

    async def _fill_credentials(self, sheet: Sheet) -> None:
        now = self.clock.now()
        for one in await self.sign_ins():
            if one.health == "missing":
                continue  # nobody ever signed in there
            sheet.put("clawgate_credential_needs_person", one.health in _NEED_A_PERSON, one.provider, one.tenant)
            if one.expires_at is not None:
                left_s = (one.expires_at - now).total_seconds()
                sheet.put("clawgate_credential_expires_in_seconds", left_s, one.provider, one.tenant)

    async def _fill_budgets(self, sheet: Sheet) -> None:
        fullest = dict.fromkeys(self.budgets.budgets, 0.0)
        for row in await budget_rows(self.store, self.budgets, self.clock.now()):
            share = (row["used"] + row["reserved"]) / row["limit"] if row["limit"] else 1.0
            fullest[row["name"]] = max(fullest[row["name"]], share)
        sheet.put_all("clawgate_budget_used_ratio", fullest)
