"""The step before a command runs: which file the program is. It can only refuse.

Where its hosts lead is checked when it connects, by the proxy of `shared.containment.egress`.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.execpolicy.models import Decision, ExecRequest, Finding
from shared.execpolicy.policy import ExecPolicy

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Program:
    """A program found in a trusted directory, with every link resolved."""

    name: str
    path: Path


def find_program(name: str, trusted_dirs: Sequence[str]) -> Program | Finding:
    """The file a program's name means. ``PATH`` and the working directory are never asked.

    Something of that name that cannot be trusted, in any trusted directory, is reason enough to refuse: somebody put
    it there.

    Source: exec contract §5.9 rule 8.
    """
    bare = posixpath.basename(name)
    folders = [posixpath.dirname(name)] if name != bare else trusted_dirs
    found: list[Program] = []
    for path in (Path(folder, bare) for folder in folders):
        if not os.path.lexists(path):
            continue
        try:
            real = path.resolve(strict=True)
        except OSError:
            return Finding("deny", "program-untrusted", f"{path} is a broken link")
        if problem := _why_untrusted(bare, real, trusted_dirs):
            return problem
        found.append(Program(bare, real))
    if not found:
        return Finding("deny", "program-missing", f"{bare} is not installed in {', '.join(trusted_dirs)}")
    return found[0]


def _why_untrusted(name: str, real: Path, trusted_dirs: Sequence[str]) -> Finding | None:
    trusted = {Path(os.path.realpath(folder)) for folder in trusted_dirs}
    if real.parent not in trusted:
        return Finding("deny", "program-untrusted", f"{name} leads to {real}, which is not in a trusted directory")
    for place in (real, *real.parents):
        facts = place.stat()
        if facts.st_uid != 0 or facts.st_mode & _WRITABLE_BY_OTHERS:
            if stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX and facts.st_uid == 0:
                continue  # in a sticky directory nobody replaces another's file
            return Finding("deny", "program-untrusted", f"{place} can be changed by others, so {name} is not trusted")
    if not stat.S_ISREG(real.stat().st_mode) or not os.access(real, os.X_OK):
        return Finding("deny", "program-untrusted", f"{real} is not an executable file")
    return None


def check_program(decision: Decision, request: ExecRequest, policy: ExecPolicy) -> Decision:
    """Tighten a decision by what lies on the disk."""
    if decision.verdict == "deny" or decision.argv is None:
        return decision
    found = find_program(decision.argv[0], policy.trusted_dirs)
    if isinstance(found, Finding):
        return decision.tightened(found)
    if request.path and (other := _first_on(request.path, found)):
        reason = f"the given PATH would run {other}, but only {found.path} is trusted"
        return decision.tightened(Finding("deny", "program-path", reason))
    return decision


def _first_on(path: str, found: Program) -> str:
    """What a ``PATH`` puts before the trusted program; empty when nothing."""
    for folder in path.split(os.pathsep):
        if not folder.startswith("/"):
            return f"{found.name} of the working directory"
        candidate = Path(folder, found.name)
        if os.path.lexists(candidate):
            return "" if candidate.resolve() == found.path else str(candidate)
    return ""
