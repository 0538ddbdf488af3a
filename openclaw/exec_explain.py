"""``openclaw exec explain``: what would happen to a command, and why. Runs nothing, resolves no names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from shared.config.strict import Strict
from shared.execpolicy.decide import decide_exec
from shared.execpolicy.models import Decision, ExecRequest
from shared.execpolicy.policy import ExecPolicy
from shared.execpolicy.resolve import check_program

_PATTERNS_NOTE = "; an allowlist entry that names only a program covers none of its arguments"


class Question(Strict):
    """One line of ``--batch``.

    Attributes:
        id: comes back with the answer.
        env: further variables of the command.
        cwd: its working directory.
        path: a PATH the caller would search.
        allowlist: program patterns an original's approvals file would hold. They grant nothing here.
        extra_trusted_dirs: further trusted directories for this question.
    """

    id: Any = None
    command: str
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str = ""
    path: str = ""
    allowlist: tuple[str, ...] = ()
    extra_trusted_dirs: Annotated[tuple[str, ...], Field(alias="extraTrustedDirs")] = ()


def explain(question: Question, policy: ExecPolicy) -> Decision:
    """Decide on a question, as far as that is possible without the network."""
    if question.extra_trusted_dirs:
        folders = (*policy.trusted_dirs, *question.extra_trusted_dirs)
        policy = policy.model_copy(update={"trusted_dirs": folders})
    request = ExecRequest(question.command, question.env, question.cwd, question.path)
    decided = decide_exec(request, policy)
    checked = check_program(decided, request, policy)
    # A program that is missing on this machine says nothing about the command.
    return decided if checked.rule == "program-missing" else checked


def explain_batch(lines: Iterable[str], policy: ExecPolicy) -> Iterator[Mapping[str, Any]]:
    """Answers to JSON lines, one each; a line that cannot be read is denied with the reason."""
    for line in lines:
        if not line.strip():
            continue
        try:
            question = Question.model_validate_json(line)
        except ValidationError as error:
            yield {"id": _id_of(line), "decision": "deny", "reason": _in_words(error), "rule": "bad-input"}
            continue
        decision = explain(question, policy)
        note = _PATTERNS_NOTE if question.allowlist and decision.verdict != "allow" else ""
        yield {
            "id": question.id,
            "decision": decision.verdict,
            "reason": f"{decision.reason}{note}",
            "rule": decision.rule,
        }


def as_json(decision: Decision) -> dict[str, Any]:
    """Everything there is to say about one decision."""
    return {
        "decision": decision.verdict,
        "rule": decision.rule,
        "reason": decision.reason,
        "argv": list(decision.argv) if decision.argv is not None else None,
        "hosts": [f"{endpoint.scheme}://{endpoint.host}:{endpoint.port}" for endpoint in decision.endpoints],
        "findings": [
            {"decision": finding.verdict, "rule": finding.rule, "reason": finding.reason}
            for finding in decision.findings
        ],
    }


def _id_of(line: str) -> Any:  # noqa: ANN401 - whatever the caller chose
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value.get("id") if isinstance(value, dict) else None


def _in_words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the line"
    return f"{place}: {first['msg']}"
