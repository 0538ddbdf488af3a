"""The router says why."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from nanoclaw.cli import cli
from nanoclaw.config import LightPolicy
from nanoclaw.router import RULES, RouteFacts, explain_route
from shared.config.paths import Paths
from shared.config.toml import operator_file

ON = LightPolicy(enabled=True)


@pytest.mark.parametrize(
    ("text", "more", "tier", "rule"),
    [
        ("hello", {}, "LIGHT", "small-talk"),
        ("what is the capital of Peru?", {}, "LIGHT", "simple-question"),
        ("!light fix the code", {}, "LIGHT", "prefix"),
        ("!claude hello", {}, "STANDARD", "prefix"),
        ("hello", {"group_route": "agent"}, "STANDARD", "group-setting"),
        ("hello", {"attachments": 1}, "STANDARD", "attachments"),
        ("fix the code", {}, "STANDARD", "needs-agent"),
        ("hello", {"facts": RouteFacts(since_agent_s=5)}, "STANDARD", "conversation"),
        ("hello", {"facts": RouteFacts(light_ready=False)}, "STANDARD", "light-resting"),
        ("", {}, "STANDARD", "length"),
        ("tell me a story", {}, "STANDARD", "doubt"),
    ],
)
def test_every_rule_names_itself_and_what_it_removed(text, more, tier, rule):
    told = explain_route(text, ON, **more)
    assert (told["tier"], told["rule"]) == (tier, rule)
    chosen, removed = sorted(told["candidates"], key=lambda candidate: bool(candidate["removed_by"]))
    assert chosen == {"tier": tier, "removed_by": "", "why": ""}
    assert (removed["removed_by"], removed["why"]) == (rule, told["reason"])
    assert [row["rule"] for row in told["rules"]] == list(RULES)
    assert [row["rule"] for row in told["rules"] if row["decides"]] == ([] if rule == "doubt" else [rule])


def test_the_command_works_without_a_running_tenant(tmp_path):
    state = ["--state", str(tmp_path)]
    off = CliRunner().invoke(cli, ["route", "explain", "hello", "--json", *state])
    assert json.loads(off.stdout)["rule"] == "light-off"
    own = operator_file("nanoclaw", Paths.resolve(tmp_path))
    own.parent.mkdir(parents=True)
    own.write_text("[light]\nenabled = true\n")
    on = CliRunner().invoke(cli, ["route", "explain", "-", *state], input="@J 안녕하세요\n")
    assert on.exit_code == 0
    assert "LIGHT (gpt-4o-mini): small talk" in on.stdout
    assert "STANDARD: removed by small-talk" in on.stdout
