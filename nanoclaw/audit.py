"""NanoClaw's own part of the security audit: what it decides is asked of the code that decides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from nanoclaw.config import NanoclawPolicy
from nanoclaw.groups import Group, check_new_group, decide_trigger
from nanoclaw.memory import shipped_memories
from nanoclaw.privileges import decide_group_action
from shared.audit.models import Check, Outcome, holds
from shared.audit.process import own_process
from shared.audit.runner import run_checks
from shared.audit.words import shown_canaries
from shared.channels.base import InboundMessage, Sender
from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.lifecycle.control import Operation

_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the checks look at: the policy in force and the groups there are."""

    policy: NanoclawPolicy
    groups: tuple[Group, ...]


def _message(text: str, *, is_bot: bool = False) -> InboundMessage:
    return InboundMessage(
        chat="dc:0",
        chat_name="nowhere",
        chat_kind="guild",
        id="0",
        sender=Sender("0", "somebody", is_bot=is_bot),
        text=text,
        addressed=True,
        sent_at=_EPOCH,
    )


class Listed(Check[Facts]):
    """A stranger calls the assistant in a chat that nobody registered."""

    id = "AUD-CHN-001"
    severity = "critical"
    subject = "nanoclaw"
    title = "Only registered chats are answered, and a stranger cannot register one"
    remediation = 'set register = "explicit", or name who may under chats.people, in policies/nanoclaw.toml'

    def run(self, facts: Facts) -> Outcome:
        decision = decide_trigger(_message("hello"), None, facts.policy)
        problems = [f"anybody may register a chat: {decision.reason}"] if decision.is_answered else []
        return holds(problems, f"{len(facts.groups)} registered chats")


class NoBots(Check[Facts]):
    """A bot's message in every group, and a second main group."""

    id = "AUD-CHN-003"
    severity = "high"
    subject = "nanoclaw"
    title = "Bots and webhooks reach no agent, and nobody takes the main group over"
    remediation = "restore the shipped nanoclaw/groups.py"
    fix = "manual"

    def run(self, facts: Facts) -> Outcome:
        problems = []
        for group in (*facts.groups, None):
            decision = decide_trigger(_message("hello", is_bot=True), group, facts.policy)
            if decision.kind != "ignore":
                problems.append(f"a bot is heard in {group.folder if group else 'a new chat'}")
        main = Group(folder="main", chat="dc:1", name="main", is_main=True)
        claim = Group(folder="main", chat="dc:2", name="main", is_main=True)
        try:
            check_new_group(claim, [main])
        except GatewayError:
            pass
        else:
            problems.append("another chat can become the main group")
        return holds(problems, "ignored everywhere")


class OwnGroup(Check[Facts]):
    """Each thing that a group may want of another."""

    id = "AUD-MEM-003"
    severity = "high"
    subject = "nanoclaw"
    title = "A group's agent acts on its own group alone"
    remediation = "restore the shipped nanoclaw/privileges.py"
    fix = "manual"

    def run(self, facts: Facts) -> Outcome:
        actor = Group(folder="family", chat="dc:1", name="family")
        wants = [(action, "other") for action in ("speak", "see", "register", "remove")]
        verdicts = [(action, decide_group_action(actor, action, target)) for action, target in wants]  # type: ignore[arg-type]
        return holds([f"it may {action} another group" for action, verdict in verdicts if verdict.allowed], "its own")


class Redaction(Check[Facts]):
    """Canaries through this process's redactor."""

    id = "AUD-OPS-003"
    severity = "high"
    subject = "nanoclaw"
    title = "Secrets do not reach the log"
    remediation = "restore the shipped shared/obs/redact.py"
    fix = "manual"

    def run(self, facts: Facts) -> Outcome:
        return holds(list(shown_canaries()), "every canary stayed hidden")


CHECKS: Final = (Listed(), NoBots(), OwnGroup(), Redaction())


def audit_operations(name: str, paths: Paths, facts: Callable[[], Facts]) -> Mapping[str, Operation]:
    """What the gateway's audit asks a running NanoClaw.

    Args:
        name: the tenant's.
        paths: the installation's.
        facts: gives them as they are now.
    """

    async def part(_params: dict[str, Any]) -> dict[str, Any]:
        report = await run_checks(CHECKS, facts())
        return {
            "findings": [finding.as_json() for finding in report.findings],
            "process": own_process(paths.pid_file(name)),
            "shipped": [hashlib.sha256(text).hexdigest() for text in shipped_memories(facts().groups)],
        }

    return {"audit.part": part}
