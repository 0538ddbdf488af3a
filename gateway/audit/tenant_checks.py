"""Checks that a tenant's own process answers, because only it knows; here they have their place in the catalogue."""

from __future__ import annotations

from typing import Final

from gateway.audit.base import TenantCheck
from shared.audit.models import Fix, Severity, Subject

_REMEDY: Final = {
    "openclaw": "openclaw security audit names the setting and the fix",
    "nanoclaw": "see docs/audit.md; restore the shipped version of nanoclaw/ if no setting was changed",
}


def _of(id_: str, severity: Severity, title: str, subject: Subject = "openclaw", fix: Fix = "guided") -> TenantCheck:
    values = {
        "id": id_,
        "severity": severity,
        "title": title,
        "subject": subject,
        "remediation": _REMEDY[subject],
        "fix": fix,
    }
    made: TenantCheck = type(id_.replace("-", ""), (TenantCheck,), values)()
    return made


TENANT_CHECKS: Final = (
    _of("AUD-EXE-001", "critical", "No command runs unjudged: tools.exec.security is never full", fix="auto"),
    _of("AUD-EXE-002", "critical", "More than 200 hostile command lines are refused or asked about", fix="manual"),
    _of("AUD-EXE-003", "high", "No interpreter is a safe program without a profile of its arguments"),
    _of("AUD-EXE-004", "high", "What is not covered waits for a person, and the question expires", fix="auto"),
    _of("AUD-EXE-005", "high", "Nobody but root can write where programs are taken from"),
    _of("AUD-EXE-006", "high", "Every flag that writes or reads a file is refused, in every spelling", fix="auto"),
    _of("AUD-EXE-007", "medium", "A command's variables cannot change what programs load", fix="manual"),
    _of("AUD-EXE-008", "medium", "What was allowed for good is still wanted"),
    _of("AUD-EXE-009", "medium", "Commands reach public hosts only", fix="manual"),
    _of("AUD-NET-002", "critical", "Nobody gets in without the token", fix="manual"),
    _of("AUD-NET-003", "critical", "What came through a tunnel is never taken for this machine", fix="manual"),
    _of("AUD-NET-004", "high", "Pages may connect from listed https origins only", fix="auto"),
    _of("AUD-NET-005", "high", "A new device waits for a person", fix="manual"),
    _of("AUD-NET-009", "medium", "Trusted proxies are exact addresses", fix="auto"),
    _of("AUD-NET-010", "medium", "Guessing a token is slowed down", fix="auto"),
    _of("AUD-NET-011", "medium", "The page runs no inline script and cannot be framed", fix="manual"),
    _of("AUD-CHN-001", "critical", "Only listed people and chats are answered"),
    _of("AUD-CHN-002", "high", "Strangers who write directly are paired first", fix="auto"),
    _of("AUD-CHN-003", "high", "Bots and unregistered chats reach no agent", "nanoclaw", "manual"),
    _of("AUD-CHN-004", "medium", "Each person and chat has a conversation of its own", fix="auto"),
)
