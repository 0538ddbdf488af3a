"""Checks of ports, tunnel and firewall (AUD-NET); what OpenClaw's own process knows is asked from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.audit.base import GatewayCheck, TenantCheck
from gateway.audit.facts import Facts
from gateway.audit.gather import observed_deployment
from gateway.host.firewall import Rule, parse_rules
from gateway.tunnel.service import validate
from shared.audit.models import Outcome, holds, unknown

METRICS_PORTS: Final = range(20241, 20246)
"""Where cloudflared listens for metrics when nothing else is said. Source: reference edge-and-ops §1.1."""
CLOSED_PORTS: Final = (18789, 18790)
"""The policy's ports of OpenClaw, which need no hole in any firewall behind a tunnel."""


class Bound(GatewayCheck):
    """Sockets on the media port; OpenClaw tells about its own."""

    id = "AUD-NET-001"
    severity = "critical"
    subject = "openclaw"
    title = "The Control UI and the media listener answer on this machine alone"
    remediation = (
        'set bind = "127.0.0.1" in policies/openclaw.toml and [media] host in policies/social.toml, in Compose publish '
        "on 127.0.0.1 (x-published of compose.yaml); use a tunnel"
    )
    fix = "auto"

    def look(self, facts: Facts) -> Outcome:
        ports = [facts.social.media.port, facts.published.port if facts.published else 0]
        return holds([text for port in ports for text in _open(facts, port)], "nothing else listens")


def _open(facts: Facts, port: int) -> Iterator[str]:
    if port:
        for address in facts.listening(port):
            if not address.is_loopback:
                yield f"port {port} listens on {address}"


class Tunnel(GatewayCheck):
    """Our own validator over the file in force."""

    id = "AUD-NET-006"
    severity = "high"
    subject = "host"
    title = "cloudflared's file is right: catch-all 404, Access under each rule, private credentials, no cert.pem"
    remediation = "clawgate tunnel validate names each line; clawgate tunnel config --write mends the file"

    def applies(self, facts: Facts) -> bool:
        """Where policies/tunnel.toml names a tunnel."""
        return facts.profile.tunnel

    def look(self, facts: Facts) -> Outcome:
        file = Path(facts.tunnel.config_file)
        found = validate(facts.tunnel, facts.paths, file)
        unseen = "; homes are closed to our unit: `sudo clawgate audit` looks there too"
        told = f"{file}{unseen if observed_deployment() == 'systemd' else ''}"
        return holds([f"line {finding.line}: {finding.text}" for finding in found], told)


class Firewall(GatewayCheck):
    """What the operator declares of the cloud, and the host's own rules."""

    id = "AUD-NET-008"
    severity = "high"
    subject = "host"
    title = "No firewall lets 18789 or 18790 in from the internet"
    remediation = (
        "remove the rule from the cloud's security list and from the host's rules, then say what is left in "
        "inbound_ports of policies/audit.toml"
    )

    def applies(self, facts: Facts) -> bool:
        """On servers."""
        return facts.profile.is_server

    def look(self, facts: Facts) -> Outcome:
        problems = [f"the cloud lets {port} in" for port in CLOSED_PORTS if port in facts.policy.inbound_ports]
        file = Path(facts.policy.firewall_rules)
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            if problems:
                return holds(problems, "")
            return unknown(f"{file}: {error.strerror}; name the file in firewall_rules of policies/audit.toml")
        for rule in parse_rules(text):
            if rule.target == "ACCEPT" and rule.chain in {"INPUT", "DOCKER-USER"}:
                problems += [f"{file}:{rule.number} accepts {port}" for port in CLOSED_PORTS if _opens(rule, port)]
        return holds(problems, f"{file} and the cloud's list let neither in")


def _opens(rule: Rule, port: int) -> bool:
    """A rule that names the port; what accepts everything is told by `clawgate host check`."""
    return "port" in rule.text and rule.names(port) and rule.is_for_everybody


class Metrics(GatewayCheck):
    """Sockets on the ports that it takes by itself."""

    id = "AUD-NET-012"
    severity = "medium"
    subject = "host"
    title = "cloudflared's metrics answer on this machine alone"
    remediation = 'set metrics = "127.0.0.1:20241" in policies/tunnel.toml, then clawgate tunnel config --write'
    fix = "auto"

    def look(self, facts: Facts) -> Outcome:
        return holds([text for port in METRICS_PORTS for text in _open(facts, port)], "none is open to others")


class ModelApi(GatewayCheck):
    """Sockets on its port; workers have no network (AUD-CTR-011)."""

    id = "AUD-NET-013"
    severity = "medium"
    title = "The model API answers on this machine alone, and no worker reaches it"
    remediation = (
        'set host = "127.0.0.1" under [model_api] in policies/gateway.toml; stop the program that listens there'
    )
    fix = "auto"

    def applies(self, facts: Facts) -> bool:
        """Where it is switched on."""
        return facts.profile.model_api

    def look(self, facts: Facts) -> Outcome:
        return holds(list(_open(facts, facts.settings.policy.model_api.port)), "loopback only")


class MediaLinks(GatewayCheck):
    """The running listener's answers to addresses that nobody signed."""

    id = "AUD-NET-014"
    severity = "medium"
    title = "Files for social networks are served to signed addresses only, and are never listed"
    remediation = "restore the shipped gateway/social/hosting"
    fix = "manual"

    def applies(self, facts: Facts) -> bool:
        """Where files are served at all."""
        return facts.profile.media

    def look(self, facts: Facts) -> Outcome:
        knocks = facts.served.get()
        return holds([f"{knock.what} is answered {knock.status}" for knock in knocks if knock.status < 400], "refused")


class Access(TenantCheck):
    """OpenClaw's answer, where the profile says that Access stands in front."""

    id = "AUD-NET-007"
    severity = "high"
    subject = "openclaw"
    title = "Cloudflare's word about a visitor is verified here too"
    remediation = "set [access] team_domain and audiences in policies/openclaw.toml as in policies/tunnel.toml"

    def run(self, facts: Facts) -> Outcome:
        if not facts.profile.access:
            return Outcome("not_applicable", "no Access in front (policies/tunnel.toml)")
        return super().run(facts)


NETWORK_CHECKS: Final = (Bound(), Tunnel(), Access(), Firewall(), Metrics(), ModelApi(), MediaLinks())
