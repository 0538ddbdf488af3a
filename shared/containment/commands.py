"""From a decision to a contained run: which file, which arguments, which variables, which way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.containment.egress import EgressProxy
from shared.containment.models import CommandSpec
from shared.containment.run import SYSTEM_FOLDERS
from shared.errors import Denied
from shared.execpolicy.models import Decision, ExecRequest, Finding
from shared.execpolicy.policy import ExecPolicy
from shared.execpolicy.resolve import find_program

_FIXED_ENV: Mapping[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_ADDED_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "curl": ("-q",),  # no configuration file, wherever one may lie
    "node": ("--experimental-permission",),  # the name that node 20 to 24 all know
}


def full_argv(decision: Decision) -> tuple[str, ...]:
    """The argument list as it is executed, with all that we add: what an approval shows.

    Raises:
        Denied: the decision has none.
    """
    if decision.argv is None:
        raise Denied(decision.reason, code="exec.not_plain")
    name = Path(decision.argv[0]).name
    return (name, *_added(name, decision.argv), *decision.argv[1:])


def _added(name: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Node's own permission model lies over Landlock for programs; asking for its version needs none."""
    if name == "node" and not {"-e", "-p", "-pe", "--eval", "--print"}.intersection(argv):
        return ()
    return _ADDED_ARGUMENTS.get(name, ())


def prepare(
    decision: Decision,
    request: ExecRequest,
    policy: ExecPolicy,
    *,
    workspace: Path,
    empty_home: Path,
    proxy: EgressProxy,
    timeout_s: float,
) -> CommandSpec:
    """Everything the launcher has to know. The program is looked up again: it may have changed since the decision.

    Args:
        decision: allowed, or approved by a person.
        request: what was asked.
        policy: the operator's.
        workspace: the only folder the command may write in.
        empty_home: an empty folder; no configuration of anybody's is found.
        proxy: the way out of programs that speak HTTP.
        timeout_s: how long it may run.

    Raises:
        Denied: it may not run after all.
    """
    argv = full_argv(decision)
    program = find_program(decision.argv[0] if decision.argv else "", policy.trusted_dirs)
    if isinstance(program, Finding):
        raise Denied(program.reason, code=f"exec.{program.rule}")
    goes_out = program.name == "curl"
    env = {**_FIXED_ENV, **request.env, "HOME": str(empty_home)}
    return CommandSpec(
        program=str(program.path),
        argv=argv,
        env={**env, **proxy.environment} if goes_out else env,
        scratch=str(workspace),
        cwd=_inside(request.cwd, workspace),
        readable=(*SYSTEM_FOLDERS, str(empty_home)),
        connect_port=proxy.port if goes_out else None,
        timeout_s=timeout_s,
    )


def _inside(cwd: str, workspace: Path) -> str:
    """The working directory, resolved now and inside the workspace.

    Raises:
        Denied: it leads elsewhere, or is gone.
    """
    if not cwd:
        return str(workspace)
    resolved = Path(cwd).resolve()
    if not resolved.is_relative_to(workspace.resolve()) or not resolved.is_dir():
        raise Denied(f"the working directory {cwd} is not a folder of the workspace", code="exec.cwd")
    return str(resolved)
