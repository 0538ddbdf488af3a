"""``openclaw models``, and the policy's own lines, run as they are written there."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from openclaw_house import house
from openclaw_rig import TOKEN

from shared.openclawclient.client import OpenClawClient, PairingRequired
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret


async def test_models_are_listed_chosen_and_ordered_without_a_running_gateway(openclaw):
    code, out, err = await openclaw("models list --json")
    assert (code, err) == (0, "")
    listed = json.loads(out)
    assert {"key", "contextWindow", "reasoning", "use"} <= listed["models"][0].keys()
    assert listed["count"] == len(listed["models"])
    everything = json.loads((await openclaw("models list --all --provider github-copilot --json"))[1])
    assert all(row["key"].startswith("github-copilot/") for row in everything["models"])
    code, out, _ = await openclaw("models set github-copilot/gpt-5-mini")
    assert code == 0
    assert out.splitlines()[1] == "Default model: github-copilot/gpt-5-mini"
    assert json.loads((await openclaw("models fallbacks list --json"))[1]) == {"fallbacks": []}
    assert "There is no fallback" in (await openclaw("models fallbacks list"))[1]
    assert json.loads((await openclaw("models fallbacks add openai-codex/gpt-5.1 --json"))[1]) == {
        "fallbacks": ["openai-codex/gpt-5.1"]
    }
    assert (await openclaw("models fallbacks add openai-codex/gpt-5.1"))[0] == 2
    code, out, _ = await openclaw("models status --json")
    assert json.loads(out) == {
        "default": "github-copilot/gpt-5-mini",
        "fallbacks": ["openai-codex/gpt-5.1"],
        "running": False,
        "rests": {},
    }
    assert (await openclaw("models fallbacks remove github-copilot/gpt-4o"))[0] == 1
    assert (await openclaw("models fallbacks clear"))[0] == 0


async def test_a_model_nobody_knows_is_refused_with_the_nearest_names_and_nothing_is_written(openclaw):
    code, _, err = await openclaw("models set github-copilot/gpt-5-mimi")
    assert code == 2
    assert "gpt-5-mini" in err
    code, _, err = await openclaw("models set gpt-5")
    assert code == 2
    assert "Default:   openai-codex/" in (await openclaw("models status"))[1]


POLICY_LINES = (
    "channels status",
    "models set github-copilot/gpt-5-mini",
    "config set channels.discord.dmPolicy '\"pairing\"' --json",
    "devices approve {request}",
)
"""Every line of the operator's policy that starts with ``openclaw``, but for the two that sign in at a provider: those
run against the emulators in test_credentials_spellings."""


async def test_the_policys_lines_run_as_they_are_written_in_a_container(paths, tmp_path):
    """As by ``docker exec``: no terminal, the container's HOME, the variables that the image sets."""
    home = tmp_path / "home" / "node"
    home.mkdir(parents=True)
    env = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "CLAWGATE_STATE": str(paths.state),
        "CLAWGATE_RUNTIME": str(paths.runtime),
        "PYTHONPATH": str(Path.cwd()),
    }
    async with house(paths) as it:
        elsewhere = {"CF-Connecting-IP": "203.0.113.7"}
        visitor = OpenClawClient(it.gateway.ws_url, token=Secret(TOKEN), device=DeviceKey.generate(), headers=elsewhere)
        with pytest.raises(PairingRequired) as waiting:
            async with visitor:
                pass
        for line in POLICY_LINES:
            words = line.format(request=waiting.value.request_id)
            process = await asyncio.create_subprocess_shell(
                f"{sys.executable} -m openclaw.cli {words}",
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == 0, (line, err.decode())
            assert out.strip(), line
            assert b"Traceback" not in err
    assert list(home.iterdir()) == []
