"""What a running gateway does for the audit: says how it runs, refuses as if halted, and does whole runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.audit.chain import Chain
from gateway.audit.gather import observed_deployment
from gateway.audit.legacy import exit_code, report
from gateway.audit.service import run_audit
from gateway.egress.service import Egress
from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.proxy import Gate
from gateway.notices.models import OwnerNotice
from gateway.notices.service import Notices
from gateway.social.service import Social
from gateway.workers.pool import WorkerPool
from shared.audit.process import own_process
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.gatewayclient.events import EventKind
from shared.gatewayclient.models import WorkerRequest
from shared.gatewayclient.web import FetchRequest
from shared.lifecycle.control import Operation
from shared.lifecycle.halt import drilling, halt, resume
from shared.obs.log import get_logger

_log = get_logger(__name__)
_TOLD_FOR: Final = timedelta(hours=1)
_ELSEWHERE: Final = "see clawgate audit on the host"
_SESSION: Final = "00000000-0000-4000-8000-000000000000"
_NOTED: Final[Mapping[str, EventKind]] = {
    "auth_complete": "sign_in.made",
    "auth_import": "sign_in.made",
    "auth_logout": "sign_in.removed",
    "posts_hold": "posts.held",
    "posts_release": "posts.released",
}
"""Operator commands that change who may do what, and what they are called in the chain."""


class AuditDesk:
    """The gateway's side of the audit.

    Args:
        facts: the engine's address and the media listener's port, as they are now.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        pool: WorkerPool,
        egress: Egress,
        social: Social,
        gate: Gate,
        notices: Notices,
        facts: Callable[[], Mapping[str, Any]],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._paths = paths
        self._pool = pool
        self._egress = egress
        self._social = social
        self._gate = gate
        self._notices = notices
        self._facts = facts
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._newest: dict[str, Any] | None = None
        self.chain = Chain(paths, clock=clock)

    def operations(self) -> dict[str, Operation]:
        """For the control socket."""
        return {
            "audit.part": self._part,
            "audit.run": self._run,
            "halt": self._halt,
            "resume": self._resume,
        }

    def noted(self, operations: Mapping[str, Operation]) -> dict[str, Operation]:
        """The same operations; those that change who may do what are written down once they succeeded."""
        return {name: self._noting(name, work) if name in _NOTED else work for name, work in operations.items()}

    def _noting(self, name: str, work: Operation) -> Operation:
        async def noted(params: dict[str, Any]) -> Any:  # noqa: ANN401 - the operation's own
            result = await work(params)
            subject = "/".join(str(params[key]) for key in ("tenant", "provider") if params.get(key))
            await self.note(_NOTED[name], actor="operator", subject=subject)
            return result

        return noted

    async def note(self, kind: EventKind, *, actor: str = "", subject: str = "", detail: str = "") -> None:
        """Write an event down. A chain that takes nothing is told in the log: what was done cannot be undone for it."""
        try:
            await asyncio.to_thread(self.chain.note, kind, actor=actor, subject=subject, detail=detail)
        except GatewayError as error:
            _log.error("audit.event_not_kept", kind=kind, subject=subject, reason=error.detail)

    async def told(self, tenant: str) -> dict[str, Any]:
        """The report as the owner's old command prints it in a tenant.

        A run is done anew at most once an hour, so that nobody in there can time one.
        """
        now = self._clock.now()
        if self._newest is None or now - datetime.fromisoformat(self._newest["at"]) > _TOLD_FOR:
            await self._run({})
        audit = self._newest or {}
        own = [row | ({} if row["subject"] == "openclaw" else {"evidence": _ELSEWHERE}) for row in audit["findings"]]
        return {"lines": list(report({**audit, "findings": own})), "exit": exit_code(audit), "tenant": tenant}

    async def work(self) -> str:
        """The daily run; a score that fell is told to the owner once."""
        audit = await self._run({})
        return f"score {audit['score'] if audit['complete'] else 'incomplete'}"

    async def _run(self, _params: dict[str, Any]) -> dict[str, Any]:
        async with self._one_at_a_time:
            audit = await run_audit(self._paths, clock=self._clock)
        shown = self._newest = audit.as_json()
        if (notice := drop_notice(audit.before, shown, self._clock.now(), self._paths.state_option)) is not None:
            self._notices.tell(notice)
        return shown

    async def _part(self, _params: dict[str, Any]) -> dict[str, Any]:
        return {
            "process": await asyncio.to_thread(own_process, self._paths.gateway / "gateway.pid"),
            "deployment": observed_deployment(),
            "drill": await self._drill(),
            **self._facts(),
        }

    async def _halt(self, params: dict[str, Any]) -> dict[str, int]:
        reason = str(params.get("reason") or "no reason given")[:200]
        await asyncio.to_thread(halt, self._paths, reason)
        ended = await self._pool.end_all()
        await self.note("halted", actor="operator", detail=reason)
        return {"ended": ended}

    async def _resume(self, _params: dict[str, Any]) -> dict[str, bool]:
        was = await asyncio.to_thread(resume, self._paths)
        if was:
            await self.note("resumed", actor="operator")
        return {"was_halted": was}

    async def _drill(self) -> dict[str, str]:
        """What each part answers while, for this call alone, everything counts as stopped."""
        request = WorkerRequest(group="audit-drill", session_id=_SESSION)
        identity = ModelIdentity(tenant="audit-drill", group="", worker_id="", routes=frozenset())
        page = FetchRequest(group="audit-drill", url="https://clawgate.invalid/")
        with drilling():
            return {
                "worker": await _refused(
                    self._pool.lease("audit-drill", request, uid=1, gid=1, name_prefix="audit-drill")
                ),
                "model": await _refused(self._gate(identity, "messages", "")),
                "web": await _refused(self._egress.fetch("audit-drill", page)),
                "post": "refused" if await self._social.store.held_by() else "would be made",
            }


async def _refused(work: Awaitable[Any]) -> str:
    try:
        await work
    except GatewayError as error:
        return "refused" if error.code == "halted" else f"failed for another reason: {error.detail}"
    return "was done"


def drop_notice(before: int | None, shown: Mapping[str, Any], now: datetime, option: str) -> OwnerNotice | None:
    """What the owner is told when a score fell, or there is none any more; one notice a day."""
    if before is None:
        return None
    after = shown["score"]
    if after is not None and after >= before:
        return None
    open_ = [row for row in shown["findings"] if row["result"] in ("fail", "unknown") and not row["waiver"]]
    worst = "; ".join(f"{row['id']} {row['title']}" for row in open_[:5])
    return OwnerNotice(
        key=f"audit_dropped:{now:%Y-%m-%d}",
        kind="audit_dropped",
        text=(
            f"**Security audit: {before} before, now {'incomplete' if after is None else after}**\n"
            f"Open: {worst or 'nothing named'}\nLook: `clawgate audit{option}`"
        ),
    )
