"""The owner's two audit commands in an original's place: the old report's grammar, exit codes, and the old number.

Source: security-audit reference §2 (grammar) and §8 (exit codes 0, 2, 1). The fourteen old checks that can run in such
an installation are answered from our findings; two of them are choices of the policy and stay failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

_RULE: Final = "━" * 50


@dataclass(frozen=True, slots=True)
class OldCheck:
    """One check of the old script.

    Attributes:
        tag: framework, layer and type, as it prints them.
        answers: our checks that must all pass; none means that it stays failed.
        reason: printed when it fails.
    """

    name: str
    severity: Literal["CRIT", "HIGH", "MED"]
    tag: str
    answers: tuple[str, ...]
    reason: str


OLD_CHECKS: Final = (
    OldCheck("Gateway bind", "CRIT", "ASI03|L4|misuse", ("AUD-NET-001",), "reachable from elsewhere"),
    OldCheck("Gateway authentication", "CRIT", "ASI03|L4|misuse", ("AUD-NET-002",), "somebody gets in without a token"),
    OldCheck("Directory permissions", "HIGH", "ASI03|L4|privacy", ("AUD-SEC-002", "AUD-OPS-009"), "others can look in"),
    OldCheck("Plaintext key exposure", "HIGH", "ASI03|L4|privacy", ("AUD-SEC-004",), "a secret lies in a file"),
    OldCheck("Sandbox mode", "HIGH", "ASI05|L3|misuse", (), "host=gateway is the policy's choice; see AUD-CTR-*"),
    OldCheck("Exec approval mode", "HIGH", "ASI02|L3|misuse", (), "on-miss is the policy's choice; see AUD-EXE-004"),
    OldCheck("Browser relay", "HIGH", "ASI05|L4|misuse", ("AUD-NET-001",), "a port answers others"),
    OldCheck("Skill safety scan", "MED", "ASI04|L7|poisoning", ("AUD-SUP-002",), "a skill that nobody accepted"),
    OldCheck("Cognitive file baselines", "MED", "ASI06|L2|poisoning", ("AUD-MEM-001",), "a file that nobody accepted"),
    OldCheck("DM policy", "HIGH", "ASI07|L7|misuse", ("AUD-CHN-002",), "strangers are answered"),
    OldCheck("Cost/budget limits", "MED", "ASI08|L5|misuse", ("AUD-OPS-008",), "nothing limits spending"),
    OldCheck("SecureClaw plugin (kill switch)", "MED", "ASI10|L5|misuse", ("AUD-OPS-001",), "halting does not hold"),
    OldCheck("Control token customization", "MED", "ATLAS|L3|evasion", (), "a key that OpenClaw refuses to start with"),
    OldCheck("Failure mode configured", "MED", "CoSAI|L5|misuse", (), "a key that OpenClaw refuses to start with"),
)


def passes(check: OldCheck, audit: Mapping[str, Any]) -> bool:
    """Whether our findings answer an old check with yes."""
    results = {row["id"]: row["result"] for row in audit["findings"]}
    return bool(check.answers) and all(results.get(id_) in {"pass", "not_applicable"} for id_ in check.answers)


def legacy_score(audit: Mapping[str, Any]) -> tuple[int, int, int]:
    """The old number by the old formula, and how many of how many passed."""
    passed = sum(passes(check, audit) for check in OLD_CHECKS)
    return 100 * passed // len(OLD_CHECKS), passed, len(OLD_CHECKS)


def legacy_line(audit: Mapping[str, Any]) -> str:
    """The labelled old number."""
    number, passed, whole = legacy_score(audit)
    return f"secureclaw-compatible: {number}/100 ({passed} of {whole}; four can never pass here, see docs/audit.md)"


def report(audit: Mapping[str, Any]) -> Iterator[str]:
    """The old script's lines, with our findings and our score; the old number is labelled."""
    passed = 0
    for row in audit["findings"]:
        tag = "|".join(row["refs"]) or "AUD"
        if row["result"] in {"fail", "unknown"} and not row["waiver"]:
            glyph, word = {"critical": ("🔴", "CRIT"), "high": ("🟠", "HIGH")}.get(row["severity"], ("🟡", "MED"))
            yield f"{glyph} {word}  [{tag}] {row['id']} {row['title']} — {row['evidence']}"
        elif row["result"] != "not_applicable":
            passed += 1
            yield f"✅ PASS  [{tag}] {row['id']} {row['title']}"
    open_ = audit["open"]
    yield _RULE
    yield f"📊 Security Score: {audit['score']}/100" if audit["complete"] else "📊 Security Score: incomplete"
    medium = open_["medium"] + open_["low"]
    yield f"✅ {passed} passed  🔴 {open_['critical']} critical  🟠 {open_['high']} high  🟡 {medium} medium"
    yield f"Frameworks: OWASP ASI, CIS Docker; {legacy_line(audit)}"
    yield "Advice: clawgate audit names every fix" if any(open_.values()) else "Nothing to do"


def exit_code(audit: Mapping[str, Any]) -> int:
    """0 nothing open, 2 an open critical finding, else 1; the old script's, too."""
    if audit["open"]["critical"]:
        return 2
    return 0 if audit["complete"] and not any(audit["open"].values()) else 1
