"""This installation's own certificate authority, which can speak for the Graph hosts and for nothing else."""

from __future__ import annotations

import json
import ssl
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.secrets.files import require_private, write_private
from shared.social.hosts import GRAPH_HOSTS

_LIFE = timedelta(days=365)
_SLACK = timedelta(days=1)
_RENEW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates of the Graph hosts for contained commands.

    Attributes:
        certificate: the authority's, PEM; what commands are told to trust, for these hosts only.
        context: shows the hosts' certificate.
    """

    certificate: str
    context: ssl.SSLContext


def load_authority(path: Path, now: datetime) -> Authority:
    """The installation's authority; made when there is none or when its time is nearly over.

    Its own key is dropped as soon as it has signed the hosts' certificate; that one's key is kept in `path`, readable
    by us alone, so that tenants that trust it need not be started again with us.
    """
    kept = {}
    if path.exists():
        require_private(path)
        kept = json.loads(path.read_text(encoding="ascii"))
    if not kept or datetime.fromisoformat(kept["renew_at"]) <= now:
        kept = _make(now)
        write_private(path, json.dumps(kept))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory(prefix="clawgate-tls-") as folder:
        chain = Path(folder, "host.pem")
        write_private(chain, kept["host"])
        context.load_cert_chain(chain)
    return Authority(kept["certificate"], context)


def _make(now: datetime) -> dict[str, str]:
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
