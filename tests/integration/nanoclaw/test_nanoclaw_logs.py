"""``nanoclaw logs``: what became of runs, from the running process and from its database when it is down."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from click.testing import CliRunner
from nanoclaw_standins import ScriptedGateway, a_message, a_tenant

from nanoclaw.cli import cli


def logs(state, *words):
    return CliRunner(env={"TZ": ""}).invoke(cli, ["logs", *words, "--state", str(state)], standalone_mode=False)


async def test_runs_are_shown_while_it_runs_and_afterwards_without_what_was_said(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("a private question"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        [group] = list(tenant.registry)
        state = tenant.paths.state
        # A process of its own: this one's log lines would be mixed into what a runner in it captures.
        words = ("logs", "--json", "--state", str(state))
        live = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nanoclaw.cli", *words),
            env={**os.environ, "CLAWGATE_RUNTIME": str(tenant.paths.runtime)},
            stdout=asyncio.subprocess.PIPE,
        )
        shown, _ = await live.communicate()
    [run] = json.loads(shown)
    assert (run["folder"], run["ok"], run["input_tokens"]) == (group.folder, True, 10)
    at_rest = logs(state, group.folder)
    assert "not running" in at_rest.stderr
    assert run["run_id"] in at_rest.stdout
    assert run["started_at"].endswith("+00:00"), "a program gets the exact moment"
    began = datetime.fromisoformat(run["started_at"]).astimezone(ZoneInfo("Asia/Seoul"))
    assert at_rest.stdout.splitlines()[1].startswith(f"{began:%Y-%m-%d %H:%M:%S} KST")
    assert "private question" not in at_rest.output
    assert logs(state, "another").stdout.startswith("No run yet")
