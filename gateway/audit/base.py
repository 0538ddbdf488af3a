"""What every check of the installation has in common: when it applies, and the tenants' own part of the same check."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from gateway.audit.facts import Facts
from shared.audit.models import Check, Outcome, Result, Subject, passed, unknown
from shared.errors import GatewayError

ANSWERED_BY: Final[Mapping[str, frozenset[str]]] = {
    "openclaw": frozenset(
        {
            *(f"AUD-EXE-{number:03d}" for number in range(1, 10)),
            *(f"AUD-NET-{number:03d}" for number in (1, 2, 3, 4, 5, 7, 9, 10, 11)),
            *("AUD-CHN-001", "AUD-CHN-002", "AUD-CHN-004", "AUD-SEC-002", "AUD-SEC-004", "AUD-SEC-008"),
            *("AUD-MEM-002", "AUD-OPS-003", "AUD-OPS-009", "AUD-TEN-001"),
        }
    ),
    "nanoclaw": frozenset({"AUD-CHN-001", "AUD-CHN-003", "AUD-MEM-003", "AUD-OPS-003"}),
}
"""Ids that each kind of tenant answers for itself, over its control socket; a silent tenant makes them unknown."""

_WORST: Final[tuple[Result, ...]] = ("fail", "unknown", "pass")


class GatewayCheck(Check[Facts]):
    """A check of the installation, with the part that tenants answer joined to it."""

    subject: ClassVar[Subject] = "gateway"

    def applies(self, facts: Facts) -> bool:  # noqa: ARG002 - most always do
        """Whether the profile has what it is about; nothing else makes a check not applicable."""
        return True

    @abstractmethod
    def look(self, facts: Facts) -> Outcome:
        """What the gateway itself can see."""

    def run(self, facts: Facts) -> Outcome:
        """The worst of what is seen here and of what the tenants say."""
        parts = list(_tenant_parts(self.id, facts))
        if self.applies(facts):
            try:
                parts.insert(0, self.look(facts))
            except GatewayError as error:
                parts.insert(0, unknown(error.detail))
        if not parts:
            return Outcome("not_applicable", f"not with this profile ({facts.profile.deployment})")
        present = [result for result in _WORST if any(part.result == result for part in parts)]
        worst: Result = present[0] if present else "not_applicable"
        telling = [part.evidence for part in parts if part.evidence and part.result == worst]
        return Outcome(worst, "; ".join(telling))


class DockerCheck(GatewayCheck):
    """One about containers."""

    def applies(self, facts: Facts) -> bool:
        """Where workers are containers, which is everywhere but in a sandbox without an engine."""
        return facts.profile.engine == "docker"


class PostingCheck(GatewayCheck):
    """One about posts."""

    def applies(self, facts: Facts) -> bool:
        """Where somebody may post."""
        return facts.profile.posting


class TenantCheck(GatewayCheck):
    """One that only tenants answer."""

    def applies(self, facts: Facts) -> bool:  # noqa: ARG002 - nothing is seen from here
        """Never by the gateway."""
        return False

    def look(self, facts: Facts) -> Outcome:  # noqa: ARG002 - as above
        """Not asked."""
        return passed("")


def _tenant_parts(check: str, facts: Facts) -> Iterator[Outcome]:
    for kind, names in (("openclaw", facts.profile.openclaw), ("nanoclaw", facts.profile.nanoclaw)):
        if check not in ANSWERED_BY[kind]:
            continue
        for tenant in names:
            try:
                rows = facts.tenants[tenant].get()
            except GatewayError as error:
                yield unknown(f"{tenant}: {error.detail}")
                continue
            row = next((row for row in rows if row["id"] == check), None)
            if row is None:
                yield unknown(f"{tenant} has no answer")
            else:
                yield Outcome(row["result"], f"{tenant}: {row['evidence']}")
