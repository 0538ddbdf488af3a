"""What the operator says about an installation's audit, and the profile that decides which checks apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from shared.audit.models import Severity, Waiver
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy

Deployment = Literal["sandbox", "up", "systemd", "compose"]
_Version = Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+){0,3})?$")]

WAIVER_DAYS: Final = 90
"""Source: security-audit reference §10.8."""


class WaiverPolicy(Strict):
    """An open finding that the owner accepts for a while.

    Attributes:
        check: the finding's id.
        resource: what its evidence must name, so that one waiver never covers a second thing.
        owner: who accepts it.
        reason: why.
        expires: its last day; at most 90 days ahead, else it counts for nothing.
    """

    check: str = Field(pattern=r"^AUD-[A-Z]{3}-[0-9]{3}$")
    resource: str = Field(min_length=1, max_length=200)
    owner: str = Field(min_length=1, max_length=80)
    reason: str = Field(min_length=8, max_length=400)
    expires: date


class VersionsPolicy(Strict):
    """The oldest versions that are still safe to run; empty asks for nothing.

    Attributes:
        engine_min: of the container engine.
        sdk_min: of claude-agent-sdk, whose wheel carries the command line of the worker image.
    """

    engine_min: _Version = "20.10"
    sdk_min: _Version = ""


class AuditPolicy(Strict):
    """The security audit.

    Attributes:
        deployment: how this installation runs. What is seen to run goes before it.
        inbound_ports: ports that the cloud's security list lets in from the internet.
        firewall_rules: the host's own rules, as ``iptables-save`` writes them.
        versions: the oldest versions that are safe to run.
        waivers: findings that are accepted for a while.
    """

    deployment: Literal["up", "systemd", "compose"] = "up"
    inbound_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()
    firewall_rules: str = "/etc/iptables/rules.v4"
    versions: VersionsPolicy = VersionsPolicy()
    waivers: tuple[WaiverPolicy, ...] = ()

    def waiver_of(self, check: str, severity: Severity, evidence: str, now: datetime) -> Waiver | None:
        """The waiver that counts for a finding; none for a critical one, and none that lasts too long."""
        for waiver in self.waivers:
            if waiver.check == check and waiver.resource in evidence and severity != "critical":
                ahead = waiver.expires - now.date()
                if timedelta(0) <= ahead <= timedelta(days=WAIVER_DAYS):
                    return Waiver(waiver.owner, waiver.reason, waiver.expires, waiver.resource)
        return None


class AdvisoriesPolicy(Strict):
    """Known-vulnerable versions of what we depend on.

    Attributes:
        reviewed: the day the list was compared with the public advisories.
        packages: by name; every version below this one is vulnerable.
    """

    reviewed: date
    packages: Mapping[str, _Version] = {}


@dataclass(frozen=True, slots=True)
class Profile:
    """What an installation is. Only reviewed policy and what is seen to run decide it, never that a file is missing.

    Attributes:
        engine: ``process`` contains nothing, and is refused outside the sandbox.
        tunnel: policies/tunnel.toml names one.
        access: and has people sign in at Cloudflare first.
        media: files are served to social networks.
        posting: some tenant may post.
        backups: names of the remotes of policies/backup.toml.
        model_api: the listener of policy row G1 is on.
        nanoclaw: names of these tenants.
        openclaw: likewise.
    """

    deployment: Deployment
    engine: Literal["docker", "process"]
    tunnel: bool
    access: bool
    media: bool
    posting: bool
    backups: tuple[str, ...]
    model_api: bool
    nanoclaw: tuple[str, ...]
    openclaw: tuple[str, ...]

    @property
    def is_server(self) -> bool:
        """It runs unattended on a machine that others can reach."""
        return self.deployment in ("systemd", "compose")

    def as_json(self) -> dict[str, object]:
        """For reports and the chain."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def load_audit(paths: Paths) -> AuditPolicy:
    """``policies/audit.toml``.

    Raises:
        ConfigError: names file, line and key of everything that is wrong.
    """
    return load_policy("audit", AuditPolicy, paths)


def load_advisories(paths: Paths) -> AdvisoriesPolicy:
    """``policies/advisories.toml``; raises as `load_audit`."""
    return load_policy("advisories", AdvisoriesPolicy, paths)
