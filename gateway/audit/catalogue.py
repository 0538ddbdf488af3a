"""Every check there is, and the released catalogue's fingerprint."""

from __future__ import annotations

import hashlib
from typing import Final

from gateway.audit.container_checks import CONTAINER_CHECKS
from gateway.audit.content_checks import CONTENT_CHECKS
from gateway.audit.facts import Facts
from gateway.audit.network_checks import NETWORK_CHECKS
from gateway.audit.operation_checks import OPERATION_CHECKS
from gateway.audit.secret_checks import SECRET_CHECKS
from gateway.audit.tenant_checks import TENANT_CHECKS
from shared.audit.models import Check

CATALOGUE: Final[tuple[Check[Facts], ...]] = tuple(
    sorted(
        (
            *SECRET_CHECKS,
            *TENANT_CHECKS,
            *CONTAINER_CHECKS,
            *NETWORK_CHECKS,
            *CONTENT_CHECKS,
            *OPERATION_CHECKS,
        ),
        key=lambda check: check.id,
    )
)


def fingerprint() -> str:
    """What must not differ from the release: which checks there are, and how heavy each is."""
    text = "\n".join(f"{check.id} {check.severity}" for check in CATALOGUE)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
