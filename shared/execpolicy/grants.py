"""What "always allow" remembers: one argument list, with holes only where a person put them.

A grant turns a question into a yes. It never touches a refusal, and what fills a hole is judged anew each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from shared.config.strict import Strict
from shared.errors import Invalid
from shared.execpolicy.decide import decide_exec
from shared.execpolicy.models import Decision, ExecRequest
from shared.execpolicy.policy import ExecPolicy
from shared.execpolicy.shell import read_command

HoleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
HOLES_IN = frozenset({"curl"})
_ASKED_ABOUT_FLAGS = frozenset({"curl-option", "curl-abbreviation", "shell-glob"})
_URL = re.compile(r"https?:", re.IGNORECASE)
URL_WITH_PATH = re.compile(r"https?://[^/?#@\\]+/", re.IGNORECASE)


class Hole(Strict):
    """A word, or the end of one, that may change.

    Attributes:
        name: for people.
        prefix: what the word begins with in any case; a hole never covers an option.
    """

    name: HoleName
    prefix: str = ""


class Grant(Strict):
    """An argument list somebody allowed for good, in one directory, with no further variables."""

    version: Literal[1] = 1
    words: tuple[str | Hole, ...] = Field(min_length=1)
    cwd: str = ""

    def covers(self, argv: Sequence[str], cwd: str) -> bool:
        """Whether an argument list is the granted one but for the holes."""
        if len(argv) != len(self.words) or cwd != self.cwd:
            return False
        return all(_fits(word, text) for word, text in zip(self.words, argv, strict=True))


def _fits(word: str | Hole, text: str) -> bool:
    if isinstance(word, str):
        return word == text
    return text.startswith(word.prefix) and not text.startswith("-")


def make_grant(request: ExecRequest, holes: Sequence[tuple[int, Hole]] = ()) -> Grant:
    """The grant for a command that a person allows always.

    Args:
        request: what was shown.
        holes: positions in the argument list that may change, chosen by the person; for curl only.

    Raises:
        Invalid: the command cannot be granted, or a hole is where none may be.
    """
    reading = read_command(request.command)
    if reading.problem:
        raise Invalid(f"only one plain command can be allowed, and {reading.problem}")
    if request.env:
        raise Invalid("a command with variables of its own is asked about every time")
    argv = [word.text for word in reading.words]
    words: list[str | Hole] = list(argv)
    for position, hole in holes:
        if argv[0] not in HOLES_IN:
            raise Invalid(f"{argv[0]} is allowed word for word only")
        if not 0 < position < len(argv) or argv[position].startswith("-"):
            raise Invalid(f"word {position} is not a value that may change")
        if not argv[position].startswith(hole.prefix):
            raise Invalid(f"word {position} does not begin with {hole.prefix!r}")
        if _URL.match(argv[position]) and not URL_WITH_PATH.match(hole.prefix):
            raise Invalid(f"the hole in the URL of word {position} must begin after the host: https://host/…")
        words[position] = hole
    return Grant(words=tuple(words), cwd=request.cwd)


def decide_with_grants(request: ExecRequest, policy: ExecPolicy, grants: Iterable[Grant]) -> Decision:
    """`decide_exec`, where a question that somebody answered for good is not asked again."""
    decision = decide_exec(request, policy)
    if decision.verdict != "ask" or decision.argv is None or request.env or policy.ask == "always":
        return decision
    grant = next((grant for grant in grants if grant.covers(decision.argv, request.cwd)), None)
    if grant is None or (_has_holes(grant) and not _holes_are_quiet(decision)):
        return decision
    return Decision(
        "allow", "granted", "a person allowed it for good", decision.argv, decision.findings, decision.endpoints
    )


def _has_holes(grant: Grant) -> bool:
    return any(isinstance(word, Hole) for word in grant.words)


def _holes_are_quiet(decision: Decision) -> bool:
    """What fills a hole must not bring a question of its own; only flags may have been asked about."""
    asked = {finding.rule for finding in decision.findings if finding.verdict == "ask"}
    return asked <= _ASKED_ABOUT_FLAGS
