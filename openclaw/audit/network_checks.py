"""Checks of the port, of who may connect, and of what a browser is told (AUD-NET)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

from openclaw.audit.facts import Facts
from openclaw.audit.reach import Surroundings, decide_reach
from openclaw.protocol.handshake import Knock, decide_pairing, read_upgrade
from shared.audit.models import Check, Outcome, failed, holds, passed
from shared.lifecycle.listening import listening_on

_FORWARDED: Final[tuple[Mapping[str, str], ...]] = (
    {"x-forwarded-for": "127.0.0.1"},
    {"x-forwarded-for": "203.0.113.7"},
    {"x-real-ip": "127.0.0.1"},
    {"forwarded": "for=127.0.0.1"},
    {"cf-connecting-ip": "127.0.0.1"},
    {"x-forwarded-host": "localhost"},
    {"x-forwarded-proto": "https"},
)
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "frame-ancestors 'none'",
}
_SAMPLE_TOKENS: Final = frozenset({"changeme", "secret", "token", "password", "admin", "test"})
TOKEN_CHARS: Final = 32
"""Shortest acceptable token. Source: catalogue AUD-SEC-008."""


class Bound(Check[Facts]):
    """What is configured, and every socket that listens on the port."""

    id = "AUD-NET-001"
    severity = "critical"
    title = "This machine alone reaches the port"
    remediation = (
        'set bind = "127.0.0.1" in policies/openclaw.toml, in Compose publish on 127.0.0.1 (x-published of '
        "compose.yaml), and put a tunnel in front"
    )
    fix = "auto"

    def run(self, facts: Facts) -> Outcome:
        policy = facts.snapshot.policy
        if not ipaddress.ip_address(policy.bind).is_loopback:
            return failed(f"bind is {policy.bind}")
        if outside := [address for address in listening_on(policy.port) if not address.is_loopback]:
            return decide_reach(policy.port, outside, Surroundings.observed())
        return passed(f"{policy.bind}:{policy.port}")


class Refused(Check[Facts]):
    """Two clients knock at the running gateway: without a token, and with a wrong one."""

    id = "AUD-NET-002"
    severity = "critical"
    title = "Nobody gets in without the token"
    remediation = "restart OpenClaw; if it stays, stop it and restore the shipped version"
    fix = "manual"

    def run(self, facts: Facts) -> Outcome:
        problems = []
        told = []
        for what, token in (("no token", None), ("a wrong token", "not-the-token-of-this-gateway")):
            reason = facts.refusal(token)
            told.append(f"{what}: {reason}")
            if not reason:
                problems.append(f"a client with {what} was let in")
        return holds(problems, "; ".join(told))


class Local(Check[Facts]):
    """Upgrade requests as a tunnel makes them, judged by the handshake itself."""

    id = "AUD-NET-003"
    severity = "critical"
    title = "What came through a tunnel or proxy is never taken for this machine"
    remediation = "restore the shipped openclaw/protocol/handshake.py"
    fix = "manual"
    refs = ("LLM06",)

    def run(self, facts: Facts) -> Outcome:
        proxies = facts.snapshot.policy.trusted_proxies
        problems = []
        for forged in _FORWARDED:
            upgrade = read_upgrade("127.0.0.1", {"host": "localhost:18789", **forged}, proxies)
            if upgrade.local:
                problems.append(f"a request with {next(iter(forged))} counts as local")
        if read_upgrade("127.0.0.1", {"host": "claw.example.org"}, proxies).local:
            problems.append("a request for a public name counts as local")
        if read_upgrade("203.0.113.7", {"host": "localhost"}, proxies).local:
            problems.append("a request from elsewhere counts as local")
        return holds(problems, f"{len(_FORWARDED) + 2} forged requests are remote")


class Origins(Check[Facts]):
    """The list in force."""

    id = "AUD-NET-004"
    severity = "high"
    title = "Pages may connect from origins that are listed exactly, over https"
    remediation = "list https origins in gateway.controlUi.allowedOrigins"
    fix = "auto"

    def run(self, facts: Facts) -> Outcome:
        origins = facts.snapshot.policy.control_ui.allowed_origins
        plain = [origin for origin in origins if not origin.startswith("https://")]
        return holds([f"{origin} is not encrypted" for origin in plain], f"allowed: {', '.join(origins) or 'none'}")


class Pairing(Check[Facts]):
    """A device that nobody knows, in both roles, judged by the handshake itself."""

    id = "AUD-NET-005"
    severity = "high"
    title = "A new device waits for a person"
    remediation = "restore the shipped openclaw/protocol/handshake.py"
    fix = "manual"

    def run(self, facts: Facts) -> Outcome:
        problems = []
        for has_origin in (True, False):
            knock = Knock(
                public_key="x",
                role="operator",
                scopes=("operator.admin",),
                platform="linux",
                device_family="",
                client_id="openclaw-control-ui",
                local=False,
                has_origin=has_origin,
            )
            decision = decide_pairing(knock, None)
            if decision.kind != "ask":
                problems.append(f"an unknown remote device would be paired: {decision.reason}")
        return holds(problems, f"{facts.tenant}: unknown remote devices are asked about")


class Proxies(Check[Facts]):
    """Networks of more than one address."""

    id = "AUD-NET-009"
    severity = "medium"
    title = "Trusted proxies are exact addresses"
    remediation = "name single addresses in gateway.trustedProxies"
    fix = "auto"

    def run(self, facts: Facts) -> Outcome:
        proxies = facts.snapshot.policy.trusted_proxies
        wide = [text for text in proxies if ipaddress.ip_network(text, strict=False).num_addresses > 1]
        return holds([f"{text} is a whole network" for text in wide], f"trusted: {', '.join(proxies) or 'none'}")


class Attempts(Check[Facts]):
    """The numbers in force."""

    id = "AUD-NET-010"
    severity = "medium"
    title = "Guessing a token is slowed down"
    remediation = "set [auth] in policies/openclaw.toml"
    fix = "auto"

    MAX_ATTEMPTS = 20
    MIN_LOCKOUT_S = 60.0

    def run(self, facts: Facts) -> Outcome:
        auth = facts.snapshot.policy.auth
        problems = []
        if auth.max_attempts > self.MAX_ATTEMPTS:
            problems.append(f"{auth.max_attempts} attempts are too many")
        if auth.lockout_s < self.MIN_LOCKOUT_S:
            problems.append(f"a lock of {auth.lockout_s:g} s is too short")
        return holds(problems, f"{auth.max_attempts} in {auth.window_s:g} s, then {auth.lockout_s:g} s")


class Headers(Check[Facts]):
    """Headers of the running gateway's page."""

    id = "AUD-NET-011"
    severity = "medium"
    title = "The page runs no inline script and cannot be framed"
    remediation = "restart OpenClaw; a proxy in front must not change these headers"
    fix = "manual"

    def run(self, facts: Facts) -> Outcome:
        headers = facts.head("/")
        problems = list(_missing(headers))
        policy = headers.get("content-security-policy", "")
        problems += [f"the page may use {word}" for word in ("'unsafe-inline'", "'unsafe-eval'") if word in policy]
        return holds(problems, policy)


def _missing(headers: Mapping[str, str]) -> Iterator[str]:
    for name, wanted in _HEADERS.items():
        if wanted not in headers.get(name, ""):
            yield f"{name} lacks {wanted}"


class Token(Check[Facts]):
    """The running gateway's own token; only its length is told."""

    id = "AUD-SEC-008"
    severity = "medium"
    title = "The gateway token is long and nobody's example"
    remediation = "remove it, then start again: a new one is made"
    fix = "auto"
    refs = ("ASI03",)

    def run(self, facts: Facts) -> Outcome:
        token = facts.addresses["token"]
        if token.lower() in _SAMPLE_TOKENS or len(set(token)) < TOKEN_CHARS // 4:
            return failed("it is an example or has too few different characters")
        if len(token) < TOKEN_CHARS:
            return failed(f"it has {len(token)} characters, less than {TOKEN_CHARS}")
        return passed(f"{len(token)} characters")


NETWORK_CHECKS: Final = (
    Bound(),
    Refused(),
    Local(),
    Origins(),
    Pairing(),
    Proxies(),
    Attempts(),
    Headers(),
    Token(),
)
