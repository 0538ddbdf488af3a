"""This installation's own certificate authority, which can speak for the Graph hosts and for nothing else."""

from __future__ import annotations

import json
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.secrets.files import require_private, write_private
from shared.social.hosts import GRAPH_HOSTS

_LIFE = timedelta(days=365)
_SLACK = timedelta(days=1)
_RENEW = timedelta(days=30)
"""Before its end the next one is made, and handed out beside it."""
_SHOW = timedelta(days=15)
"""Before the end of the old one the next one is shown; by then every tenant trusts it."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates of the Graph hosts for contained commands.

    Attributes:
        certificate: the authority's, PEM, with the next one's when there is one; what commands are told to trust, for
            these hosts only.
        context: shows the hosts' certificate.
        ends: when that is over.
    """

    certificate: str
    context: ssl.SSLContext
    ends: datetime


class AuthorityKeeper:
    """The authority of a running gateway.

    Args:
        path: where it is kept.
        now: the time at the start.
    """

    def __init__(self, path: Path, now: datetime) -> None:
        self._path = path
        self.current = load_authority(path, now)

    def renew(self, now: datetime) -> str:
        """Look whether it is time for another one; says in one line how it stands."""
        before = self.current
        self.current = load_authority(self._path, now)
        changed = "renewed, " if self.current.certificate != before.certificate else ""
        return f"{changed}the Graph hosts' certificate ends in {(self.current.ends - now).days} days"


def load_authority(path: Path, now: datetime) -> Authority:
    """The installation's authority; made when there is none, and another one in time.

    For 15 days both are handed out and the old one is shown; so nobody has to be started again. Its own key is dropped
    as soon as it has signed the hosts' certificate; that one's key is kept in `path`, readable by us alone.
    """
    kept: dict[str, Any] = {}
    if path.exists():
        require_private(path)
        kept = json.loads(path.read_text(encoding="ascii"))
    stored = dict(kept)
    if kept and (following := kept.get("next")) and now >= _ends(kept) - _SHOW:
        kept = following
    if not kept or _ends(kept) <= now:
        kept = _make(now)
    elif now >= datetime.fromisoformat(kept["renew_at"]) and "next" not in kept:
        kept["next"] = _make(now)
    if kept != stored:
        write_private(path, json.dumps(kept))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory(prefix="clawgate-tls-") as folder:
        chain = Path(folder, "host.pem")
        write_private(chain, kept["host"])
        context.load_cert_chain(chain)
    following = kept["next"]["certificate"] if "next" in kept else ""
    return Authority(kept["certificate"] + following, context, _ends(kept))


def _ends(kept: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(kept["renew_at"]) + _RENEW


def _make(now: datetime) -> dict[str, Any]:
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clawgate: Graph hosts of this installation")])
    hosts = [x509.DNSName(host) for host in GRAPH_HOSTS]
    begins, ends = now - _SLACK, now + _LIFE
    off = ("content_commitment", "data_encipherment", "key_agreement", "key_encipherment", "encipher_only")
    usage = x509.KeyUsage(
        digital_signature=False, key_cert_sign=True, crl_sign=True, decipher_only=False, **dict.fromkeys(off, False)
    )
    certificate = (
        x509.CertificateBuilder(name, name, authority_key.public_key(), x509.random_serial_number(), begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(hosts, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    host_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, next(iter(GRAPH_HOSTS)))])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    leaf = (
        x509.CertificateBuilder(name, host_name, key.public_key(), x509.random_serial_number(), begins, ends)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "certificate": certificate.public_bytes(pem).decode(),
        "host": (secret + leaf.public_bytes(pem)).decode(),
        "renew_at": (ends - _RENEW).isoformat(),
    }
