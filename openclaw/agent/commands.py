"""Commands of the agent: decided by policy and grants, run contained in the session's own folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from openclaw.agent.output import result_text
from openclaw.agent.workspace.places import Places
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.containment.commands import full_argv, prepare
from shared.containment.egress import EgressProxy
from shared.containment.run import Contained, start_contained
from shared.errors import Denied, Invalid
from shared.execpolicy.grants import Grant, decide_with_grants
from shared.execpolicy.models import Decision, ExecRequest, Finding, argv_digest
from shared.execpolicy.policy import ExecPolicy
from shared.execpolicy.resolve import check_program, find_program
from shared.lifecycle.halt import require_not_halted
from shared.obs.log import get_logger

_log = get_logger(__name__)


class Commands:
    """Decides on commands and runs them.

    Args:
        tenant: whose folders are used.
        policy: the operator's ``policies/exec.toml``.
        proxy: the way out, serving already.
        authority: file with the certificate for the Graph hosts; empty for none.
    """

    def __init__(
        self,
        tenant: str,
        paths: Paths,
        policy: ExecPolicy,
        proxy: EgressProxy,
        clock: Clock = SYSTEM_CLOCK,
        authority: str = "",
    ) -> None:
        self._tenant = tenant
        self._paths = paths
        self._places = Places(tenant, paths)
        self.policy = policy
        self._proxy = proxy
        self._authority = authority
        self._clock = clock

    def workspace(self, session_key: str) -> Path:
        """The folder of a session's commands, made when there is none."""
        folder = self._places.commands(session_key)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def request(self, command: str, env: dict[str, str], workdir: str, session_key: str) -> ExecRequest:
        """A command as the policy judges it; a relative directory counts from the session's workspace.

        Raises:
            Invalid: the directory is outside the workspace.
        """
        if not workdir:
            return ExecRequest(command, env)
        workspace = self.workspace(session_key)
        folder = os.path.normpath(workspace / workdir)
        if not Path(folder).is_relative_to(workspace):
            raise Invalid(f"workdir must be a folder of the workspace {workspace}", code="exec.cwd")
        return ExecRequest(command, env, "" if Path(folder) == workspace else folder)

    def decide(self, request: ExecRequest, grants: Iterable[Grant] = ()) -> Decision:
        """Decide on a command, with what people allowed for good and what lies on the disk."""
        return check_program(decide_with_grants(request, self.policy, grants), request, self.policy)

    def identify(self, decision: Decision, request: ExecRequest) -> tuple[str, tuple[str, ...], str]:
        """The executable, the whole argument list, and the digest an approval is bound to.

        Raises:
            Denied: there is no such program.
        """
        program = find_program(decision.argv[0] if decision.argv else "", self.policy.trusted_dirs)
        if isinstance(program, Finding):
            raise Denied(program.reason, code=f"exec.{program.rule}")
        argv = full_argv(decision, program, self._authority)
        path = str(program.path)
        return path, argv, argv_digest(argv, program=path, cwd=request.cwd, env=request.env)

    async def run(self, decision: Decision, request: ExecRequest, session_key: str, timeout_s: float) -> str:
        """Run an allowed command to its end; returns what the model reads.

        Raises:
            Denied: it may not run after all.
        """
        contained = await self.start(decision, request, session_key, timeout_s)
        outcome = await contained.finish()
        _log.info(
            "exec.ended",
            session=session_key,
            exit_code=outcome.exit_code,
            problem=outcome.problem,
            duration_s=round(outcome.duration_s, 3),
        )
        return result_text(outcome)

    async def start(
        self, decision: Decision, request: ExecRequest, session_key: str, timeout_s: float, *, with_input: bool = False
    ) -> Contained:
        """Start an allowed command; the caller has to call its `finish`.

        Raises:
            Denied: it may not run after all.
        """
        require_not_halted(self._paths)
        home = self._paths.empty_home(self._tenant)
        home.mkdir(parents=True, exist_ok=True, mode=0o500)
        spec = prepare(
            decision,
            request,
            self.policy,
            workspace=await asyncio.to_thread(self.workspace, session_key),
            empty_home=home,
            proxy=self._proxy,
            timeout_s=timeout_s,
            authority=self._authority,
        )
        _log.info("exec.started", program=spec.program, session=session_key)
        return await start_contained(spec, with_input=with_input, clock=self._clock)
