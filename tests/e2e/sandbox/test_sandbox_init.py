"""`clawgate init` on a running sandbox: what is missing is named, done without a question, then all is ready."""

import json

import pytest

from shared.config.paths import Paths
from shared.config.toml import operator_file, policy_values
from tests.support.sandbox_process import clawgate, sandbox_process

pytestmark = pytest.mark.timeout(180)


async def init(state, *words, given=b""):
    return await clawgate(state, "init", *words, given=given)


@pytest.fixture
async def sandbox(tmp_path):
    async with sandbox_process(tmp_path) as running:
        yield running


async def test_from_named_steps_to_ready(sandbox):
    paths = Paths.resolve(sandbox.state)
    code, said, _ = await init(sandbox.state, "--check", "--json")
    steps = {step["name"]: step for step in json.loads(said)["steps"]}
    assert {
        steps[f"{kind}.{t}"]["state"] for kind in ("bot", "intent", "server") for t in ("nanoclaw", "openclaw")
    } == {"done"}
    assert steps["engine"]["state"] == steps["model.claude"]["state"] == "done"

    channel = sandbox.ready["discord"]["channel_id"]
    guild = sandbox.ready["discord"]["guild_id"]
    assert (code, steps["main.nanoclaw"]["state"]) == (1, "todo")
    code, said, told = await init(sandbox.state, "--main", channel, "--server", guild, "--json")
    assert code == 0, said
    assert "has said hello" in told
    hello = [message["content"] for message in await sandbox.messages()]
    assert any("I am set up" in text for text in hello)
    policy = policy_values("openclaw", paths)
    assert guild in policy["discord"]["guilds"]
    assert len(policy["approvals"]["approvers"]) >= 2


async def test_doctor_of_what_runs_is_green_and_sees_a_refused_token(sandbox):
    code, said, told = await clawgate(sandbox.state, "doctor", "--json")
    rows = json.loads(said)["rows"]
    assert code == 0, [row for row in rows if row["level"] == "fail"]
    good = {(row["process"], row["id"]) for row in rows if row["level"] == "ok"}
    assert good >= {("gateway", f"upstream.{name}") for name in ("discord", "claude", "codex", "copilot", "github")}
    assert good >= {
        ("gateway", "bot.nanoclaw"),
        ("gateway", "bot.openclaw"),
        ("gateway", "engine"),
        ("gateway", "port"),
    }
    assert good >= {(name, "running") for name in ("nanoclaw", "openclaw")}
    await clawgate(sandbox.state, "secrets", "set", "DISCORD_BOT_TOKEN", "--tenant", "openclaw", given=b"wrong")
    code, said, told = await clawgate(sandbox.state, "doctor", "--json")
    red = {(row["id"], row["code"]) for row in json.loads(said)["rows"] if row["level"] == "fail"}
    assert (code, red) == (1, {("bot.openclaw", "discord.token_refused")})
    code, said, _ = await clawgate(sandbox.state, "doctor", "--json", "--offline")
    assert code == 0, "nobody outside was asked"
    assert "Traceback" not in told


async def test_what_is_wrong_is_refused_and_nothing_is_kept(sandbox):
    before = operator_file("openclaw", Paths.resolve(sandbox.state)).read_bytes()
    for words, given, says in (
        (("--token", "nanoclaw=@-"), b"not-a-token", "refuses this bot token"),
        (("--token", "nobody=@-"), b"x", "no tenant 'nobody'"),
        (("--token", "nanoclaw=secret"), b"", "shows in no process list"),
        (("--token", "nanoclaw=@/does/not/exist"), b"", "cannot be read"),
        (("--main", "general"), b"", "Developer Mode"),
        (("--server", "999999999999999999"), b"", "Discord answers"),
    ):
        code, said, told = await init(sandbox.state, *words, given=given)
        assert code != 0, words
        assert says in told + said, (words, told)
        assert "Traceback" not in told
    assert operator_file("openclaw", Paths.resolve(sandbox.state)).read_bytes() == before


async def test_on_an_empty_machine_every_step_says_what_to_do(tmp_path):
    code, said, _ = await init(tmp_path / "empty", "--check")
    assert code == 1
    assert "✗ engine" in said or "✓ engine" in said
    assert "• bot.nanoclaw: no token" in said
    assert "clawgate secrets set DISCORD_BOT_TOKEN --tenant openclaw" in said
    assert "to do. Run `clawgate init` again" in said
