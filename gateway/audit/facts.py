"""What the checks look at: the effective state, gathered once. What could not be looked at says why when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from gateway.audit.containers import Seen
from gateway.audit.policy import AdvisoriesPolicy, AuditPolicy, Profile
from gateway.budget.policy import BudgetsPolicy
from gateway.settings import Settings
from gateway.social.policy import SocialPolicy
from gateway.tunnel.policy import TunnelPolicy
from shared.config.paths import Paths
from shared.errors import Unavailable
from shared.lifecycle.container import Published
from shared.lifecycle.listening import Address
from shared.secrets.files import Secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """An answer, or why there is none; without one every check that needs it is ``unknown``."""

    answer: T | None = None
    reason: str = ""

    def get(self) -> T:
        """The answer.

        Raises:
            Unavailable: there is none.
        """
        if self.answer is None:
            raise Unavailable(self.reason or "nobody has asked", code="audit.unknown")
        return self.answer


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours.

    Attributes:
        variables: names that its environment sets; values are never kept.
        holds_lock: it holds its single-instance lock.
    """

    pid: int
    variables: frozenset[str]
    holds_lock: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine below.

    Attributes:
        sshd: settings of the SSH server; empty where there is none.
    """

    disk_percent: int
    has_swap: bool
    sshd: str


@dataclass(frozen=True, slots=True)
class Knock:
    """What the gateway answered somebody who is not who he says he is."""

    what: str
    status: int


@dataclass(frozen=True)
class Facts:
    """One look at an installation.

    Attributes:
        containers: of this installation, and how the next ones will be made.
        engine: version of the container engine.
        processes: gateway and tenants, by name.
        sign_ins: rows of ``clawgate auth status``.
        jobs: rows of ``clawgate maintenance list``, by process.
        posts: of all tenants.
        backups: rows of the newest backups, by tenant.
        drill: what the stopped installation refused, by what was tried.
        knocks: answers to forged callers.
        tenants: every tenant's own checks, by tenant.
        live: secrets in use, by what they are.
        accepted: content of standing files and skills that a person accepted, by path; None before the first time.
        listening: addresses that a port listens on.
        served: status of media addresses that nobody signed.
        installed: versions of installed packages.
        lock: versions that were locked by hash.
        shipped: contents (SHA-256) of the memory files that tenants make for new groups.
        published: where Compose publishes OpenClaw on the machine, whose sockets the gateway sees; None elsewhere.
        home: of the user we are.
    """

    paths: Paths
    settings: Settings
    policy: AuditPolicy
    advisories: AdvisoriesPolicy
    profile: Profile
    now: datetime
    budgets: BudgetsPolicy
    social: SocialPolicy
    tunnel: TunnelPolicy
    containers: Asked[Sequence[Seen]]
    engine: Asked[str]
    processes: Mapping[str, Asked[Running]]
    sign_ins: Asked[Sequence[Mapping[str, Any]]]
    jobs: Mapping[str, Asked[Sequence[Mapping[str, Any]]]]
    posts: Asked[Sequence[Mapping[str, Any]]]
    backups: Asked[Mapping[str, Mapping[str, Any]]]
    drill: Asked[Mapping[str, str]]
    knocks: Asked[Sequence[Knock]]
    tenants: Mapping[str, Asked[Sequence[Mapping[str, Any]]]]
    live: Asked[Mapping[str, Secret]]
    accepted: Asked[Mapping[str, str]]
    served: Asked[Sequence[Knock]]
    listening: Callable[[int], list[Address]]
    installed: Mapping[str, str]
    machine: Asked[Machine]
    lock: Asked[Mapping[str, str]]
    shipped: frozenset[str] = frozenset()
    published: Published | None = None
    home: Path = field(default_factory=Path.home)

    @cached_property
    def tenant_folders(self) -> dict[str, Path]:
        """State of every tenant that runs."""
        return {name: self.paths.tenant(name) for name in self.settings.enabled_tenants()}
