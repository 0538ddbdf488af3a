"""Checks cloudflared's file: what cloudflared refuses, what it silently ignores, and what would be unsafe for us.

Sources: reference edge-and-ops §1 (read in cloudflared's source and tried), policy row G6.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gateway.tunnel.document import Document, Path
from gateway.tunnel.policy import TunnelPolicy
from gateway.tunnel.services import MEDIA_PATH, problem_of_service

# fmt: off
_TOP = frozenset({
    "tunnel", "credentials-file", "ingress", "originRequest", "loglevel", "logfile", "log-directory", "metrics",
    "protocol", "edge-ip-version", "edge-bind-address", "grace-period", "retries", "no-autoupdate", "autoupdate-freq",
    "warp-routing", "pidfile", "region", "token", "tag", "transport-loglevel", "ha-connections", "compression-quality",
    "post-quantum", "origincert", "management-diagnostics",
})
_RULE = frozenset({"hostname", "path", "service", "originRequest"})
_ORIGIN_REQUEST = frozenset({
    "connectTimeout", "tlsTimeout", "tcpKeepAlive", "keepAliveTimeout", "keepAliveConnections", "noHappyEyeballs",
    "httpHostHeader", "originServerName", "matchSNItoHost", "caPool", "noTLSVerify", "disableChunkedEncoding",
    "bastionMode", "proxyAddress", "proxyPort", "proxyType", "http2Origin", "ipRules", "access",
})
# fmt: on
_DURATIONS = ("connectTimeout", "tlsTimeout", "tcpKeepAlive", "keepAliveTimeout")
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_LOCAL_METRICS = re.compile(r"(127\.[0-9.]+|localhost|\[::1\]):[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend.

    Attributes:
        level: ``error`` (cloudflared would not start, or it would be unsafe) or ``warning``.
        line: in the file, from 1; 0 when it is not about a line.
        text: what is wrong.
        fix: what to do.
    """

    level: Literal["error", "warning"]
    line: int
    text: str
    fix: str

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def check(document: Document, policy: TunnelPolicy, allowed_origins: Sequence[str]) -> list[Finding]:
    """All that is wrong with a file, in the order of its lines.

    Args:
        document: the file.
        policy: what the tunnel should be.
        allowed_origins: of OpenClaw's Control UI.
    """
    found = [
        *(
            Finding("error", line, f"{name} is written twice in one table", "keep one")
            for name, line in document.repeated
        ),
        *_top(document, policy),
        *_rules(document),
        *_ours(document, policy, allowed_origins),
    ]
    return sorted(found, key=lambda finding: finding.line)


def _unknown(document: Document, path: Path, table: Mapping[str, Any], known: Iterable[str]) -> Iterator[Finding]:
    for name in table:
        if str(name) not in known:
            near = difflib.get_close_matches(str(name), sorted(known), n=1)
            fix = f"did you mean {near[0]}?" if near else "take it out"
            line = document.line_of((*path, str(name)))
            yield Finding("warning", line, f"cloudflared does not know {name!r} and ignores it", fix)


def _top(document: Document, policy: TunnelPolicy) -> Iterator[Finding]:
    values = document.values
    yield from _unknown(document, (), values, _TOP)
    wanted = {"tunnel": policy.name, "credentials-file": policy.credentials_file}
    for name, value in wanted.items():
        if name not in values:
            yield Finding("error", 0, f"{name} is missing", f"add {name}: {value}")
        elif str(values[name]) != value:
            fix = f"write {value}, or change policies/tunnel.toml"
            yield Finding("error", document.line_of((name,)), f"{name} is {values[name]}, policy says {value}", fix)
    if "origincert" in values:
        line = document.line_of(("origincert",))
        yield Finding("error", line, "origincert names the account's certificate", "take it out; one tunnel needs none")
    metrics = values.get("metrics")
    if metrics is None:
        text = "metrics is not set: in a container cloudflared then listens on all addresses"
        yield Finding("warning", 0, text, f"add metrics: {policy.metrics}")
    elif not _LOCAL_METRICS.fullmatch(str(metrics)):
        text = f"metrics listens at {metrics}, which others may reach"
        yield Finding("error", document.line_of(("metrics",)), text, f"write {policy.metrics}")
    request = values.get("originRequest")
    if isinstance(request, Mapping):
        yield from _origin_request(document, ("originRequest",), request)
        if "access" in request:
            text = "access at the top level protects nothing: cloudflared reads it in a rule only"
            line = document.line_of(("originRequest", "access"))
            yield Finding("error", line, text, "move it below the Control UI's rule")


def _rules(document: Document) -> Iterator[Finding]:
    rules = document.values.get("ingress")
    if not isinstance(rules, list) or not rules:
        line = document.line_of(("ingress",)) if "ingress" in document.values else 0
        text = "ingress has no rules: every visitor would get 503"
        yield Finding("error", line, text, "write the file anew: clawgate tunnel config --write")
        return
    for number, rule in enumerate(rules):
        path: Path = ("ingress", number)
        if not isinstance(rule, Mapping):
            yield Finding("error", document.line_of(path), "a rule is a table with service", "mend or remove it")
            continue
        yield from _rule(document, path, rule, is_last=number == len(rules) - 1)


def _rule(document: Document, path: Path, rule: Mapping[str, Any], *, is_last: bool) -> Iterator[Finding]:
    line = document.line_of(path)
    yield from _unknown(document, path, rule, _RULE)
    service = rule.get("service")
    if not isinstance(service, str) or not service:
        yield Finding("error", line, "a rule without service", "add service: http_status:404 or where it leads")
    elif problem := problem_of_service(service):
        yield Finding("error", document.line_of((*path, "service")), problem, "mend the service")
    host, where = str(rule.get("hostname") or ""), str(rule.get("path") or "")
    if host and host != "*" and not _HOST.fullmatch(host):
        text = f"{host!r} is not a host name (a wildcard stands for a whole first part, and no port is given)"
        yield Finding("error", document.line_of((*path, "hostname")), text, "write claw.example.org or *.example.org")
    if where:
        try:
            re.compile(where)
        except re.error as error:
            yield Finding("error", document.line_of((*path, "path")), f"path is no regular expression: {error}", "mend")
    takes_all = host in {"", "*"} and not where
    if is_last and not takes_all:
        text = "the last rule must take every request, or cloudflared does not start"
        yield Finding("error", line, text, "add as the last rule: - service: http_status:404")
    elif takes_all and not is_last:
        yield Finding("error", line, "a rule that takes every request hides those after it", "move it to the end")
    elif takes_all and service != "http_status:404":
        text = f"what no other rule takes is passed to {service}"
        yield Finding("error", line, text, "write service: http_status:404 there")
    request = rule.get("originRequest")
    if isinstance(request, Mapping):
        yield from _origin_request(document, (*path, "originRequest"), request)


def _origin_request(document: Document, path: Path, request: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _unknown(document, path, request, _ORIGIN_REQUEST)
    for name in _DURATIONS:
        if name in request and not _DURATION.fullmatch(str(request[name])):
            text = f"{name}: {request[name]!r} is not a duration"
            yield Finding("error", document.line_of((*path, name)), text, "write it as 30s or 1m30s")
    access = request.get("access")
    if isinstance(access, Mapping):
        line = document.line_of((*path, "access"))
        if access.get("required") is not True:
            yield Finding("error", line, "access without required: true lets everybody in", "add required: true")
        if not access.get("teamName") or not access.get("audTag"):
            yield Finding("error", line, "access needs teamName and audTag", "add both, from policies/tunnel.toml")


def _ours(document: Document, policy: TunnelPolicy, allowed_origins: Sequence[str]) -> Iterator[Finding]:
    """What the file must say for this installation."""
    rules = document.values.get("ingress")
    by_host = {
        str(rule.get("hostname", "")).lower(): (number, rule)
        for number, rule in reversed(list(enumerate(rules if isinstance(rules, list) else [])))
        if isinstance(rule, Mapping)
    }
    again = "write the file anew: clawgate tunnel config --write"
    number, rule = by_host.get(policy.hostname, (-1, {}))
    if number < 0:
        yield Finding("error", 0, f"no rule leads {policy.hostname} to the Control UI", again)
    else:
        line = document.line_of(("ingress", number))
        if rule.get("service") != policy.service:
            text = f"{policy.hostname} leads to {rule.get('service')}, policy says {policy.service}"
            yield Finding("error", line, text, again)
        yield from _access_of(rule, policy, line, again)
        if _request_of(rule).get("httpHostHeader"):
            text = "httpHostHeader hides from OpenClaw which name the visitor asked for"
            yield Finding("error", line, text, "take it out: a visitor could pass for one of this machine")
    if policy.media_hostname:
        number, rule = by_host.get(policy.media_hostname, (-1, {}))
        line = document.line_of(("ingress", number)) if number >= 0 else 0
        if number < 0 or rule.get("service") != policy.media_service or rule.get("path") != MEDIA_PATH:
            yield Finding("error", line, f"{policy.media_hostname} does not lead to the media listener's /m/", again)
        elif _request_of(rule).get("access"):
            yield Finding("error", line, "access before the media host: Meta cannot sign in there", "take it out")
    if policy.origin not in allowed_origins:
        text = f"OpenClaw refuses browsers that come from {policy.origin}"
        yield Finding("error", 0, text, "allow it: clawgate tunnel config --write does, or policies/openclaw.toml")


def _access_of(rule: Mapping[str, Any], policy: TunnelPolicy, line: int, again: str) -> Iterator[Finding]:
    access = _request_of(rule).get("access")
    if not policy.access.team:
        return
    if not isinstance(access, Mapping):
        yield Finding("error", line, "policy asks for Cloudflare Access, the rule has none", again)
    elif access.get("teamName") != policy.access.team or set(access.get("audTag") or ()) != set(
        policy.access.audiences
    ):
        yield Finding("error", line, "the rule's Access team or audiences are not the policy's", again)


def _request_of(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    request = rule.get("originRequest")
    return request if isinstance(request, Mapping) else {}
