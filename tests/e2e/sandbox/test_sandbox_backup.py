"""Both tenants of a running sandbox back up through the gateway, and the restore drill starts another one on it."""

import json
import subprocess

from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from tests.support.sandbox_process import clawgate, sandbox_process


async def backup(state, *words):
    code, said, _ = await clawgate(state, "backup", *words, "--json")
    return code, json.loads(said)


async def test_what_was_said_is_there_after_the_drill(tmp_path):
    state = tmp_path / "s"
    remotes = {}
    for tenant in ("nanoclaw", "openclaw", "gateway"):
        subprocess.run(["git", "init", "--quiet", "--bare", f"{tenant}.git"], cwd=tmp_path, check=True)
        remotes[tenant] = {"url": str(tmp_path / f"{tenant}.git")}
    overlay_file(operator_file("backup", Paths.resolve(state)), {"remotes": remotes})
    async with sandbox_process(tmp_path, state=state) as sandbox:
        await sandbox.ask_bot("nanoclaw")
        await sandbox.ask_bot("openclaw")
        code, ran = await backup(state, "run")
        assert (code, [one["outcome"] for one in ran]) == (0, ["ok"] * 3), ran
        code, again = await backup(state, "run", "openclaw")
        assert again[0]["detail"].endswith("nothing has changed"), again
        code, listed = await backup(state, "list")
        assert code == 0
        assert all(one["files"] and not one["late"] for one in listed)
        code, drilled = await backup(state, "restore", "--drill")
    assert code == 0
    rows = {one["tenant"]: one["restored"] for one in drilled["tenants"]}
    assert rows["nanoclaw"]["group"] >= 1
    assert rows["nanoclaw"]["inbox"] >= 1
    assert rows["openclaw"]["inbox"] >= 1
