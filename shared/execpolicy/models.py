"""Values of the exec policy: what was asked, what was decided, and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["allow", "ask", "deny"]
_STRICTNESS: Mapping[Verdict, int] = {"allow": 0, "ask": 1, "deny": 2}


def stricter(first: Verdict, second: Verdict) -> Verdict:
    """The one that permits less."""
    return max(first, second, key=_STRICTNESS.__getitem__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed about a command.

    Attributes:
        rule: stable name, for tests, logs and documentation.
        reason: for a person or an agent: what, and what to do instead.
    """

    verdict: Verdict
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a command wants to connect; its address is checked when the command is about to run."""

    host: str
    port: int
    scheme: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a command.

    Attributes:
        rule: the finding that decided.
        argv: what would be executed, literally; None when the text is not one plain command, which cannot run at all.
        findings: everything that was noticed, the deciding one first.
        endpoints: hosts the command names.
    """

    verdict: Verdict
    rule: str
    reason: str
    argv: tuple[str, ...] | None = None
    findings: tuple[Finding, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()

    def tightened(self, finding: Finding) -> Decision:
        """The same decision after a further check, which can only make it stricter."""
        if stricter(self.verdict, finding.verdict) == self.verdict:
            return Decision(self.verdict, self.rule, self.reason, self.argv, (*self.findings, finding), self.endpoints)
        findings = (finding, *self.findings)
        return Decision(finding.verdict, finding.rule, finding.reason, self.argv, findings, self.endpoints)


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A command an agent wants to run.

    Attributes:
        command: shell-like text; it is parsed, never given to a shell.
        env: further variables for the child.
        cwd: working directory; empty means the workspace.
        path: a ``PATH`` the caller would search; never used for searching, only compared.
    """

    command: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    path: str = ""


def argv_digest(argv: tuple[str, ...], *, program: str, cwd: str, env: Mapping[str, str]) -> str:
    """What an approval is bound to: the exact argument list, program, directory and variables (SHA-256, hex)."""
    facts = {"argv": argv, "cwd": cwd, "env": dict(sorted(env.items())), "program": program}
    return hashlib.sha256(json.dumps(facts, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()
