"""The handshake's decisions, each a pure function over facts; the hub calls them in the protocol's order.

Order: schema → protocol range → role → browser origin → shared secret looked at → missing device → device proof →
authentication enforced → pairing. So a bad signature is reported before a bad token, and a wrong token never makes a
pairing request.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from openclaw.protocol.errors import CLOSE_PROTOCOL, Refused
from openclaw.protocol.frames import BROWSER_CLIENTS, CONTROL_UI, PROTOCOL_VERSION, ConnectAuth, ConnectParams, Role
from openclaw.protocol.scopes import covers
from shared.openclawclient.device import ConnectClaim, device_id_of, read_public_key, verify

SIGNATURE_WINDOW_MS = 120_000

_FORWARDING_HEADERS = frozenset(
    {"forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "via"}
)
_FORWARDING_PREFIXES = ("x-forwarded", "x-original-", "cf-", "cdn-", "fastly-", "x-envoy-")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What the HTTP upgrade request tells about the other side.

    Attributes:
        peer: the TCP peer's address, empty when unknown.
        client_ip: the peer, or the hop a trusted proxy vouches for.
        local: all four signs of a person at this machine are there (see `is_local`).
        forwarded: something says that a proxy handed the request on.
    """

    peer: str
    host: str
    origin: str
    client_ip: str
    local: bool
    user_agent: str = ""
    forwarded: bool = False


@lru_cache(maxsize=1024)
def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").split("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_loopback_ip(text: str) -> bool:
    """Whether this is the address of the machine itself, IPv4-in-IPv6 included."""
    address = _ip(text)
    return address is not None and address.is_loopback


def host_name(host: str) -> str:
    """The name of a ``Host`` header without its port, lower case; empty when there were two of them."""
    if "," in host:
        return ""  # joined by `join_headers`: the first must not speak for the second
    try:
        return (urlsplit(f"//{host.strip()}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback_host(host: str) -> bool:
    """Whether a ``Host`` header names the machine itself."""
    name = host_name(host)
    return name == "localhost" or is_loopback_ip(name)


def origin_host(origin: str) -> str:
    """The host (with port) of an ``Origin``, empty when it has none (``null``, opaque, malformed)."""
    try:
        parts = urlsplit(origin.strip().lower())
    except ValueError:
        return ""
    return parts.netloc if parts.scheme in {"http", "https"} and not parts.path.strip("/") else ""


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether any header says that a proxy, tunnel or content network handed the request on."""
    return any(name in _FORWARDING_HEADERS or name.startswith(_FORWARDING_PREFIXES) for name in headers)


def is_local(peer: str, host: str, origin: str, headers: Mapping[str, str]) -> bool:
    """Loopback peer, loopback ``Host``, no forwarding header, and an ``Origin`` (if any) that is loopback: all four.

    A tunnel's visitors come from 127.0.0.1 too; the address alone proves nothing.
    """
    if not is_loopback_ip(peer) or not is_loopback_host(host):
        return False
    if is_forwarded(headers):
        return False
    return not origin or is_loopback_host(origin_host(origin))


def client_address(peer: str, headers: Mapping[str, str], trusted_proxies: Sequence[str]) -> str:
    """The peer, unless it is a trusted proxy: then the address it names.

    That is ``CF-Connecting-IP``, which Cloudflare's edge overwrites, else the right-most hop of ``X-Forwarded-For``
    that is not a trusted proxy itself: what stands to its left is chosen by the client.
    """
    if not is_in(peer, trusted_proxies):
        return peer
    named = _ip(headers.get("cf-connecting-ip", ""))
    if named is not None:
        return str(named)
    for hop in reversed([part.strip() for part in headers.get("x-forwarded-for", "").split(",") if part.strip()]):
        if _ip(hop) is None:
            return peer
        if not is_in(hop, trusted_proxies):
            return str(_ip(hop))
    return peer


def is_in(address: str, networks: Sequence[str]) -> bool:
    """Whether an address lies in one of these networks."""
    parsed = _ip(address)
    return parsed is not None and any(parsed in ipaddress.ip_network(net, strict=False) for net in networks)


def read_upgrade(peer: str, headers: Mapping[str, str], trusted_proxies: Sequence[str]) -> Upgrade:
    """Facts of one upgrade request; header names are lower case."""
    host = headers.get("host", "")
    origin = headers.get("origin", "")
    return Upgrade(
        peer=peer,
        host=host,
        origin=origin,
        client_ip=client_address(peer, headers, trusted_proxies),
        local=is_local(peer, host, origin, headers),
        user_agent=headers.get("user-agent", "")[:200],
        forwarded=is_forwarded(headers),
    )


# --- protocol, role, origin ----------------------------------------------------------


def check_protocol(params: ConnectParams) -> None:
    """The client must speak version 3."""
    if not params.min_protocol <= PROTOCOL_VERSION <= params.max_protocol:
        raise Refused(
            "INVALID_REQUEST",
            "protocol mismatch",
            details={"expectedProtocol": PROTOCOL_VERSION},
            close_code=CLOSE_PROTOCOL,
        )


def check_role(params: ConnectParams) -> Role:
    """The role asked for; operator unless said otherwise."""
    if params.role in (None, "operator"):
        return "operator"
    if params.role == "node":
        return "node"
    raise Refused("INVALID_REQUEST", "invalid role")


def check_origin(params: ConnectParams, upgrade: Upgrade, allowed_origins: Collection[str]) -> None:
    """Pages may connect from this machine, or from an origin that is listed exactly."""
    if not upgrade.origin and params.client.id not in BROWSER_CLIENTS:
        return
    origin = upgrade.origin.strip().lower()
    if origin and origin in {entry.strip().lower().rstrip("/") for entry in allowed_origins}:
        return
    if is_loopback_host(origin_host(origin)) and is_loopback_host(upgrade.host):
        return
    raise Refused(
        "INVALID_REQUEST",
        "origin not allowed (open the Control UI from the gateway host"
        " or allow it in gateway.controlUi.allowedOrigins)",
    )


# --- shared secret -------------------------------------------------------------------

AuthReason = Literal["ok", "token_missing", "token_mismatch", "rate_limited", "device_token_mismatch"]

_AUTH_FAILURES: dict[str, tuple[str, str]] = {
    "token_missing": ("AUTH_TOKEN_MISSING", "unauthorized: gateway token missing ({hint})"),
    "token_mismatch": ("AUTH_TOKEN_MISMATCH", "unauthorized: gateway token mismatch ({hint})"),
    "device_token_mismatch": (
        "AUTH_DEVICE_TOKEN_MISMATCH",
        "unauthorized: device token mismatch (rotate/reissue device token)",
    ),
    "rate_limited": ("AUTH_RATE_LIMITED", "unauthorized: too many failed authentication attempts (retry later)"),
}


def _hint(params: ConnectParams) -> str:
    if params.client.mode == "cli":
        return "set gateway.remote.token to match gateway.auth.token"
    if params.client.id in BROWSER_CLIENTS:
        return "open the dashboard URL and paste the token in Control UI settings"
    return "provide gateway auth token"


def check_shared_secret(auth: ConnectAuth, secret: str) -> AuthReason:
    """Compare the token with the gateway's in constant time."""
    if not auth.token:
        return "token_missing"
    return "ok" if hmac.compare_digest(auth.token.encode(), secret.encode()) else "token_mismatch"


def refuse_auth(reason: AuthReason, params: ConnectParams) -> Refused:
    """The answer to a failed authentication."""
    code, message = _AUTH_FAILURES[reason]
    return Refused(
        "INVALID_REQUEST",
        message.format(hint=_hint(params)),
        details={"code": code, "authReason": reason},
    )


# --- device --------------------------------------------------------------------------


def decide_missing_device(params: ConnectParams, role: Role, *, local: bool, shared_ok: bool) -> list[str]:
    """What a connection without a device may do: its scopes when the shared secret is right, else nothing.

    Without a device there is nothing to pair, so that only programs at this machine come in this way; upstream lets
    anybody who has the token (docs/adr/0011).

    Raises:
        Refused: the Control UI, nodes and everything from elsewhere always need a device.
    """
    if params.client.id == CONTROL_UI and role == "operator":
        raise Refused(
            "INVALID_REQUEST",
            "control ui requires device identity (use HTTPS or localhost secure context)",
            details={"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"},
        )
    if role == "node" or not local:
        raise Refused("NOT_PAIRED", "device identity required", details={"code": "DEVICE_IDENTITY_REQUIRED"})
    return list(params.scopes) if shared_ok else []


_DEVICE_FAILURES = {
    "device-id-mismatch": "device identity mismatch",
    "device-signature-stale": "device signature expired",
    "device-nonce-missing": "device nonce required",
    "device-nonce-mismatch": "device nonce mismatch",
    "device-signature": "device signature invalid",
    "device-public-key": "device public key invalid",
}


def verify_device(params: ConnectParams, role: Role, *, nonce: str, now_ms: int) -> bytes:
    """Check a device's proof; returns its raw public key.

    Version 3 of the signed text is tried first, then version 2: nothing on the wire says which was signed.

    Raises:
        Refused: with the reason in ``details.reason``.
    """
    device = params.device
    if device is None:
        raise ValueError("no device was presented")
    try:
        raw = read_public_key(device.public_key)
    except ValueError:
        raise _device_refusal("device-public-key") from None
    if device_id_of(raw) != device.id:
        raise _device_refusal("device-id-mismatch")
    if abs(now_ms - device.signed_at) > SIGNATURE_WINDOW_MS:
        raise _device_refusal("device-signature-stale")
    if not device.nonce:
        raise _device_refusal("device-nonce-missing")
    if not hmac.compare_digest(device.nonce.encode(), nonce.encode()):
        raise _device_refusal("device-nonce-mismatch")
    claim = ConnectClaim(
        device_id=device.id,
        client_id=params.client.id,
        client_mode=params.client.mode,
        role=role,
        scopes=params.scopes,
        signed_at_ms=device.signed_at,
        token=params.auth.token or params.auth.device_token or "",
        nonce=device.nonce,
        platform=params.client.platform,
        device_family=params.client.device_family,
    )
    if not any(verify(raw, device.signature, claim.payload(version)) for version in ("v3", "v2")):
        raise _device_refusal("device-signature")
    return raw


def _device_refusal(reason: str) -> Refused:
    return Refused(
        "INVALID_REQUEST", _DEVICE_FAILURES[reason], details={"code": "DEVICE_AUTH_INVALID", "reason": reason}
    )


# --- pairing -------------------------------------------------------------------------

PairingReason = Literal["not-paired", "role-upgrade", "scope-upgrade", "metadata-upgrade"]


@dataclass(frozen=True, slots=True)
class Knock:
    """A device asking to be let in."""

    public_key: str
    role: Role
    scopes: tuple[str, ...]
    platform: str
    device_family: str
    client_id: str
    local: bool
    has_origin: bool


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """What was approved for a device."""

    public_key: str
    roles: frozenset[str]
    scopes: frozenset[str]
    platform: str
    device_family: str


@dataclass(frozen=True, slots=True)
class PairingDecision:
    """`allow` goes on; `approve` pairs without asking; `ask` needs a person. `reason` says what is new."""

    kind: Literal["allow", "approve", "ask"]
    reason: PairingReason | None = None


def decide_pairing(knock: Knock, known: KnownDevice | None) -> PairingDecision:
    """Whether a device that proved its key and passed authentication may go on.

    Only a person at this machine is paired without being asked, and only for a new device or more scopes: a changed
    role or platform needs a human even here.
    """
    reason: PairingReason | None = None
    if known is None or known.public_key != knock.public_key:
        reason = "not-paired"
    elif knock.role not in known.roles:
        reason = "role-upgrade"
    elif not covers(known.scopes, knock.scopes):
        reason = "scope-upgrade"
    elif (known.platform and known.platform != knock.platform) or (
        known.device_family and known.device_family != knock.device_family
    ):
        reason = "metadata-upgrade"
    if reason is None:
        return PairingDecision("allow")
    known_client = not knock.has_origin or knock.client_id in BROWSER_CLIENTS
    if knock.local and reason in {"not-paired", "scope-upgrade"} and known_client:
        return PairingDecision("approve", reason)
    return PairingDecision("ask", reason)
