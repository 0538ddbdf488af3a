"""AUD-NET-001 in a container: what the machine forwards counts, and only where nothing else leads in."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from openclaw.audit.catalogue import CATALOGUE
from openclaw.audit.reach import Surroundings, decide_reach
from shared.audit.models import Finding
from shared.audit.score import score
from shared.lifecycle.container import Link, Published

EVERYWHERE = [ipaddress.ip_address("0.0.0.0")]
BRIDGE = Link("eth0", "172.18.0.2", is_pair=True)
CARD = Link("ens3", "10.0.0.5", is_pair=False)
RIGHT = Surroundings(contained=True, links=[BRIDGE], published=Published("127.0.0.1", 28789, 18789))


def score_with(around: Surroundings) -> int | None:
    outcome = decide_reach(18789, EVERYWHERE, around)
    findings = [
        Finding(
            check.id,
            check.severity,
            "openclaw",
            outcome.result if check.id == "AUD-NET-001" else "pass",
            check.title,
            outcome.evidence,
            check.remediation,
            check.fix,
        )
        for check in CATALOGUE
    ]
    return score(findings, catalogue=len(CATALOGUE))


def test_a_containers_own_address_published_on_loopback_is_right() -> None:
    outcome = decide_reach(18789, EVERYWHERE, RIGHT)
    assert (outcome.result, score_with(RIGHT)) == ("pass", 100)
    assert "127.0.0.1:28789" in outcome.evidence


@pytest.mark.parametrize(
    ("around", "said"),
    [
        (replace(RIGHT, published=Published("0.0.0.0", 18789, 18789)), "published on 0.0.0.0:18789"),
        (replace(RIGHT, published=Published("203.0.113.7", 18789, 18789)), "published on 203.0.113.7:18789"),
        (replace(RIGHT, published=Published("127.0.0.1", 18789, 18790)), "leads to 18790"),
        (replace(RIGHT, published=None), "port 18789 listens on 0.0.0.0"),
        (replace(RIGHT, contained=False), "port 18789 listens on 0.0.0.0"),
        (replace(RIGHT, links=[CARD]), "ens3 (10.0.0.5)"),
        (replace(RIGHT, links=[BRIDGE, CARD]), "ens3 (10.0.0.5)"),
    ],
)
def test_anything_else_is_critical(around: Surroundings, said: str) -> None:
    outcome = decide_reach(18789, EVERYWHERE, around)
    assert (outcome.result, score_with(around)) == ("fail", 39)
    assert said in outcome.evidence
