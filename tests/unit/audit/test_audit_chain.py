"""The chain: whatever is done to a row is seen and named; events of tenants arrive once, and only their own kinds."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audit.chain import Chain, note_policies
from shared.audit.reporting import Reporter
from shared.config.paths import Paths
from shared.errors import GatewayError, Invalid, Unavailable


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(state=tmp_path / "s", runtime=tmp_path / "r")


def filled(paths: Paths, count: int = 5) -> Chain:
    chain = Chain(paths)
    for number in range(count):
        chain.note("post.approved", actor="me", subject=f"post {number}")
    return chain


def lines(paths: Paths) -> list[str]:
    return paths.audit_chain.read_text().splitlines()


def write(paths: Paths, rows: list[str]) -> None:
    paths.audit_chain.write_text("".join(f"{row}\n" for row in rows))


def test_rows_are_kept_in_order_private_and_hold(paths: Paths) -> None:
    chain = filled(paths)
    verdict = chain.verify()
    assert (verdict.rows, verdict.problems) == (5, ())
    assert [row["subject"] for row in chain.rows()] == [f"post {number}" for number in range(5)]
    assert paths.audit_chain.stat().st_mode & 0o777 == 0o600
    assert Chain(Paths(paths.state / "other", paths.runtime)).verify().problems == ()


def changed(rows: list[str]) -> list[str]:
    row = json.loads(rows[2]) | {"actor": "somebody else"}
    return [*rows[:2], json.dumps(row), *rows[3:]]


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (changed, "row 3 (line 3"),
        (lambda rows: rows[:2] + rows[3:], "row 4 (line 3"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "row 2 (line 1"),
        (lambda rows: [*rows[:3], rows[2], *rows[3:]], "row 3 (line 4"),
        (lambda rows: rows[:-2], "rows 4 to 5 were cut off"),
        (lambda rows: [*rows[:2], "rubbish", *rows[3:]], "line 3 is no row"),
        (lambda _: [], "rows 1 to 5 were cut off"),
    ],
)
def test_what_was_done_to_a_row_is_named(paths: Paths, tamper, named: str) -> None:
    chain = filled(paths)
    write(paths, tamper(lines(paths)))
    assert any(named in problem for problem in chain.verify().problems)


def test_a_missing_head_is_named(paths: Paths) -> None:
    chain = filled(paths)
    paths.audit_chain.with_name("head.json").unlink()
    assert "head is missing" in chain.verify().problems[0]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 4),
    st.sampled_from(["actor", "subject", "detail", "kind", "at", "process", "id", "previous"]),
    st.text(max_size=8),
)
def test_any_changed_field_of_any_row_is_seen(paths: Paths, number: int, field: str, value: str) -> None:
    if not paths.audit_chain.exists():
        filled(paths)
        paths.audit_chain.with_suffix(".kept").write_text(paths.audit_chain.read_text())
    rows = paths.audit_chain.with_suffix(".kept").read_text().splitlines()
    row = json.loads(rows[number])
    if row[field] == value:
        return
    write(paths, [*rows[:number], json.dumps(row | {field: value}), *rows[number + 1 :]])
    assert any(f"line {number + 1}," in problem for problem in Chain(paths).verify().problems)


def test_many_at_once_make_one_chain(paths: Paths) -> None:
    chain = Chain(paths)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: chain.note("secret.set", subject=str(number)), range(40)))
    assert (chain.verify().rows, chain.verify().problems) == (40, ())


def test_secrets_do_not_get_in(paths: Paths) -> None:
    chain = Chain(paths)
    chain.note("secret.set", subject="ghp_" + "a1B2" * 9)
    assert "ghp_" not in paths.audit_chain.read_text()


def test_accepted_content_counts_only_with_a_chain_that_holds(paths: Paths) -> None:
    chain = Chain(paths)
    with pytest.raises(Unavailable):
        chain.accepted()
    chain.accept({"a": "1"}, actor="me")
    assert chain.accepted() == {"a": "1"}
    paths.audit_chain.with_name("accepted.json").write_text('{"a": "2"}')
    with pytest.raises(Invalid, match="not what the audit chain says"):
        chain.accepted()
    chain.accept({"a": "1"}, actor="me")
    write(paths, lines(paths)[1:])
    with pytest.raises(Invalid, match="does not hold"):
        chain.accepted()


def test_a_changed_policy_file_is_written_down_once(paths: Paths) -> None:
    chain = Chain(paths)
    assert not note_policies(paths, chain)
    paths.policies.mkdir(parents=True)
    (paths.policies / "exec.toml").write_text("ask = 'always'\n")
    assert note_policies(paths, chain)
    assert not note_policies(paths, chain)
    (paths.policies / "exec.toml").write_text("ask = 'off'\n")
    assert note_policies(paths, chain)
    assert chain.newest("policy.changed")["subject"] == "exec.toml"


class Gateway:
    def __init__(self, chain: Chain) -> None:
        self.chain, self.is_down, self.loses_answer = chain, True, False

    async def report_events(self, events) -> None:
        if self.is_down:
            raise Unavailable("down")
        for event in events:
            self.chain.append("openclaw", event)
        if self.loses_answer:
            raise GatewayError("the answer was lost")


async def test_a_tenant_s_events_wait_for_the_gateway_and_arrive_once(paths: Paths) -> None:
    gateway = Gateway(Chain(paths))
    spool = paths.audit_spool("openclaw")
    reporter = Reporter(spool, gateway)
    await reporter.note("device.approved", subject="phone")
    with pytest.raises(Unavailable):
        await reporter.send()
    reporter = Reporter(spool, gateway)  # the process died meanwhile
    gateway.is_down, gateway.loses_answer = False, True
    with pytest.raises(GatewayError):
        await reporter.send()
    gateway.loses_answer = False
    assert await reporter.send()
    assert [(row["process"], row["subject"]) for row in gateway.chain.rows()] == [("openclaw", "phone")]
    assert spool.read_text() == ""
