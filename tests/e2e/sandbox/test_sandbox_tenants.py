"""A second NanoClaw and a second OpenClaw come and go beside the first ones, which notice nothing."""

import asyncio
import json
import stat

import pytest

from shared.config.paths import Paths
from shared.http.client import http_client
from tests.support.sandbox_process import clawgate, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]


async def done(state, *words, given=b""):
    """What a command that works prints."""
    code, said, told = await clawgate(state, *words, given=given)
    # `init` says 1 while something else is still to do
    assert code == 0 or (code == 1 and words[0] == "init"), (words, said, told)
    return said


async def bot_of(sandbox, name):
    """Make a bot at the emulated Discord, give its token to the tenant, and wait until it is online."""
    async with http_client(base_url=sandbox.ready["discord"]["page_url"], timeout_s=10) as http:
        answer = await http.post("api/bots", json={"name": name})
        answer.raise_for_status()
        bot = answer.json()
    await done(sandbox.state, "init", "--token", f"{name}=@-", "--json", given=bot["token"].encode())
    await done(sandbox.state, "restart", name)
    sandbox.ready[name] = {"bot_id": bot["id"]}
    async with asyncio.timeout(60):
        while not any(channel["state"] == "online" for channel in sandbox_channels(sandbox, name)):
            await asyncio.sleep(0.1)


async def owner_of(sandbox):
    async with http_client(base_url=sandbox.ready["discord"]["page_url"], timeout_s=10) as http:
        people = (await http.get("api/state")).json()["people"]
    return next(person["id"] for person in people if person["username"] == "owner")


def sandbox_channels(sandbox, name):
    try:
        return sandbox.ask(name, "status")["channels"]
    except Exception:
        return []


def pids(sandbox):
    return {p["name"]: (p["pid"], p["restarts"], p["state"]) for p in sandbox.ask("up", "status")}


async def test_two_more_tenants_answer_apart_and_one_leaves(tmp_path):
    async with sandbox_process(tmp_path) as sandbox:
        paths = Paths.resolve(sandbox.state)
        before = pids(sandbox)
        guild = sandbox.ready["discord"]["guild_id"]
        for name, kind in (("family", "nanoclaw"), ("work", "openclaw")):
            told = json.loads(await done(sandbox.state, "tenants", "add", name, "--kind", kind, "--json"))
            assert any("was started" in line for line in told["lines"])
        await done(sandbox.state, "init", "--server", f"work={guild}", "--owner", await owner_of(sandbox))
        for name in ("family", "work"):
            await bot_of(sandbox, name)

        # each answers with its own bot, and only the one that was asked
        for bot in ("family", "work", "nanoclaw", "openclaw"):
            await sandbox.ask_bot(bot)
        listed = {t["name"]: t for t in json.loads(await done(sandbox.state, "tenants", "list", "--json"))}
        assert {name: (t["kind"], t["state"], t["has_token"]) for name, t in listed.items()} == {
            "nanoclaw": ("nanoclaw", "runs", True),
            "openclaw": ("openclaw", "runs", True),
            "family": ("nanoclaw", "runs", True),
            "work": ("openclaw", "runs", True),
        }
        assert listed["work"]["port"] != listed["openclaw"]["port"]

        # apart: folders, databases, sockets, keys
        for name in ("family", "work"):
            assert paths.tenant_db(name).exists()
            assert stat.S_IMODE(paths.tenant_socket_dir(name).stat().st_mode) == 0o750
            assert not list(paths.tenant(name).rglob("nanoclaw.db"))
        assert pids(sandbox).keys() == {"gateway", *listed}

        # one leaves; the others are the same processes, started as often as before
        stayed = {name: state for name, state in pids(sandbox).items() if name != "family"}
        workers = [w for w in sandbox.ask("gateway", "status")["workers"] if w["tenant"] != "family"]
        await done(sandbox.state, "tenants", "remove", "family", "--purge", "--yes")
        assert pids(sandbox) == stayed
        assert {name: stayed[name] for name in before} == before
        left = sandbox.ask("gateway", "status")["workers"]
        assert {w["worker_id"] for w in left} >= {w["worker_id"] for w in workers}
        assert not [w for w in left if w["tenant"] == "family"]
        assert not paths.tenant("family").exists()
        assert not paths.tenant_socket("family").exists()
        assert not paths.key_socket("family").exists()
        for bot in ("work", "nanoclaw", "openclaw"):
            await sandbox.ask_bot(bot)

    # what was added is there after a start, too
    async with sandbox_process(tmp_path, state=sandbox.state) as again:
        assert pids(again).keys() == {"gateway", "nanoclaw", "openclaw", "work"}
        await again.ask_bot("work")
