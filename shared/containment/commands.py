"""From a decision to a contained run: which file, which arguments, which variables, which way out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from shared.containment.egress import EgressProxy
from shared.containment.models import CommandSpec
from shared.containment.run import SYSTEM_FOLDERS
from shared.errors import Denied
from shared.execpolicy.curl import begins_anew
from shared.execpolicy.models import Decision, ExecRequest, Finding
from shared.execpolicy.policy import ExecPolicy
from shared.execpolicy.resolve import Program, find_program
from shared.social.hosts import GRAPH_HOSTS

_FIXED_ENV: Mapping[str, str] = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_PROGRAM_OPTIONS = frozenset({"-e", "-p", "-pe", "--eval", "--print"})
_VERSION = re.compile(r"v(\d+)\.(\d+)\.")
_ASK_S = 5.0


def full_argv(decision: Decision, program: Program, authority: str = "") -> tuple[str, ...]:
    """The argument list as it is executed, with all that we add: what an approval shows.

    Args:
        decision: has the argument list.
        program: what its first word was resolved to.
        authority: file with the certificate that the gateway shows for the Graph hosts; empty for none.

    Raises:
        Denied: the decision has none, or mixes Graph hosts with others.
    """
    if decision.argv is None:
        raise Denied(decision.reason, code="exec.not_plain")
    added: tuple[str, ...] = ()
    if program.name == "curl":
        added = ("-q", *_trusted(decision, authority))  # no configuration file, wherever one may lie
    elif program.name == "node" and _PROGRAM_OPTIONS.intersection(decision.argv):
        # Node's own permission model lies over Landlock for programs; asking for its version needs none.
        added = permission_flag(program.path, program.path.stat().st_mtime_ns)
    return (program.name, *added, *decision.argv[1:])


def _trusted(decision: Decision, authority: str) -> tuple[str, ...]:
    """What curl is told to trust: for the Graph hosts the gateway, which answers in their place, and nobody else."""
    graph = [endpoint for endpoint in decision.endpoints if endpoint.host.lower().rstrip(".") in GRAPH_HOSTS]
    if not graph or not authority:
        return ()
    if len(graph) != len(decision.endpoints):
        raise Denied("the Graph hosts are called in a command of their own, without other hosts", code="exec.graph")
    if decision.argv is not None and begins_anew(decision.argv[1:]):  # what we add would hold for the first alone
        raise Denied("the Graph hosts are called one by one, without --next", code="exec.graph")
    return ("--cacert", authority)


@cache
def permission_flag(path: Path, changed_ns: int) -> tuple[str, ...]:  # noqa: ARG001 - another file asks anew
    """How this node's permission model is switched on; empty for one that has none (before 20).

    Asks the program once, which takes some tens of milliseconds.
    """
    try:
        told = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_ASK_S, env={}, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = _VERSION.match(told)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version >= (22, 13):
        return ("--permission",)
    return ("--experimental-permission",) if version >= (20, 0) else ()


def prepare(
    decision: Decision,
    request: ExecRequest,
    policy: ExecPolicy,
    *,
    workspace: Path,
    empty_home: Path,
    proxy: EgressProxy,
    timeout_s: float,
    authority: str = "",
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
        authority: as in `full_argv`.

    Raises:
        Denied: it may not run after all.
    """
    program = find_program(decision.argv[0] if decision.argv else "", policy.trusted_dirs)
    if isinstance(program, Finding):
        raise Denied(program.reason, code=f"exec.{program.rule}")
    argv = full_argv(decision, program, authority)
    goes_out = program.name == "curl"
    env = {**_FIXED_ENV, **request.env, "HOME": str(empty_home)}
    return CommandSpec(
        program=str(program.path),
        argv=argv,
        env={**env, **proxy.environment} if goes_out else env,
        scratch=str(workspace),
        cwd=_inside(request.cwd, workspace),
        readable=(*SYSTEM_FOLDERS, str(empty_home), *([authority] if authority in argv else [])),
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
