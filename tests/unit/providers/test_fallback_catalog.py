"""The models we know."""

from __future__ import annotations

import pytest

from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.errors import ConfigError, Invalid
from shared.providers.catalog import CODEX, COPILOT, load_catalog, shipped_catalog

POLICY = (
    *("claude-opus-4.6", "claude-opus-4.5", "claude-sonnet-4.6", "claude-sonnet-4.5", "claude-sonnet-4"),
    *("claude-haiku-4.5", "gpt-5.2-codex", "gpt-5.2", "gpt-5.1-codex-max", "gpt-5.1-codex", "gpt-5.1", "gpt-5"),
    *("gpt-5-mini", "gpt-4.1", "gpt-4o", "gpt-5.1-codex-mini", "gemini-3.1-pro", "gemini-3-pro", "gemini-3-flash"),
    *("gemini-2.5-pro", "grok-code-fast-1"),
)


def test_all_models_of_the_policy_are_there_under_its_own_names():
    catalog = shipped_catalog()
    found = {catalog.require(f"github-copilot/{name}").ref for name in POLICY}
    assert found == {model.ref for model in catalog.listed(COPILOT)}
    assert len(found) == 21
    assert len(catalog.listed(CODEX)) == 7


@pytest.mark.parametrize(
    ("name", "wires"),
    [
        ("github-copilot/claude-sonnet-4.5", ("messages", "chat")),
        ("github-copilot/gpt-5-mini", ("responses", "chat")),
        ("github-copilot/gpt-5.1-codex", ("responses",)),
        ("github-copilot/gemini-3-pro", ("chat",)),
        ("copilot/gpt-4.1", ("chat",)),
        ("codex/gpt-5.1", ("responses",)),
        ("openai-codex/gpt-9", ("responses",)),
        ("github-copilot/brand-new", ("chat",)),
    ],
)
def test_each_model_names_its_wires(name, wires):
    assert shipped_catalog().find(name).wires == wires


def test_a_typed_name_that_is_wrong_is_refused_with_near_ones():
    with pytest.raises(Invalid, match=r"gpt-5-mini"):
        shipped_catalog().require("github-copilot/gpt5-mini")
    for bad in ("gpt-5", "nobody/x", "openai-codex/", ""):
        with pytest.raises(Invalid):
            shipped_catalog().require(bad)


def test_an_operator_adds_a_model_and_a_mistake_is_named(tmp_path):
    paths = Paths(tmp_path / "s", tmp_path / "r")
    own = operator_file("models", paths)
    own.parent.mkdir(parents=True)
    own.write_text('[models."github-copilot/gpt-9"]\nwires = ["chat"]\naliases = ["nine"]\n')
    assert load_catalog(paths).require("github-copilot/nine").id == "gpt-9"
    own.write_text('[models."github-copilot/gpt-9"]\nwires = ["chat"]\naliases = ["gpt-5"]\n')
    with pytest.raises(ConfigError, match="gpt-5"):
        load_catalog(paths)
    own.write_text('[models."github-copilot/gpt-9"]\nwire = ["chat"]\n')
    with pytest.raises(ConfigError, match="wires"):
        load_catalog(paths)
