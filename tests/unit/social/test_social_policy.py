"""What policies/social.toml may say: a cap that its network never reaches is refused with its place and a way out."""

from __future__ import annotations

from importlib.resources import files

import pytest

from gateway.social.policy import SocialPolicy
from shared.config.paths import Paths
from shared.config.toml import load_policy, operator_file
from shared.errors import ConfigError
from shared.social.models import QUOTA, TITLES, Network


def load(tmp_path, network: Network, daily_cap: int) -> SocialPolicy:
    paths = Paths(state=tmp_path, runtime=tmp_path / "r")
    paths.policies.mkdir(exist_ok=True)
    text = f"kill_switch = false\n\n[tenants.nanoclaw.{network}]\ngroups = []\ndaily_cap = {daily_cap}\n"
    operator_file("social", paths).write_text(text)
    return load_policy("social", SocialPolicy, paths)


@pytest.mark.parametrize(("network", "quota"), [("threads", 250), ("instagram", 100)])
def test_a_cap_is_at_most_what_the_network_takes(tmp_path, network, quota):
    rule = load(tmp_path, network, quota).rule("nanoclaw", network)
    assert rule is not None
    assert rule.daily_cap == quota
    with pytest.raises(ConfigError, match=rf"social\.toml:[35]: tenants\.nanoclaw\.{network}.*{quota}"):
        load(tmp_path, network, quota + 1)


def test_the_refusal_says_what_to_write_instead(tmp_path):
    with pytest.raises(ConfigError, match=r"= 150 .* Instagram takes 100 posts in 24 hours\. Set 100 or less"):
        load(tmp_path, "instagram", 150)


def test_the_shipped_file_names_what_each_network_takes():
    text = (files("policies") / "social.toml").read_text()
    assert ", ".join(f"{TITLES[network]} {quota}" for network, quota in QUOTA.items()) in text
