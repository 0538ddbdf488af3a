"""``clawgate auth`` as a person or a script uses it: on the files, through the running gateway, through pipes."""

from __future__ import annotations

import asyncio
import json
import sys

from gateway.credentials.control import operations
from shared.clock import SYSTEM_CLOCK
from shared.lifecycle.control import ControlServer

MAIN = """
import sys
from gateway.cli.auth import cli
from shared.cli import guarded
sys.exit(guarded(lambda: cli(standalone_mode=False), prog="clawgate"))
"""


def prepare(d) -> None:
    policies = d.paths.policies
    policies.mkdir(parents=True)
    url = d.world.claude_token_url
    (policies / "oauth.toml").write_text(
        f'[claude]\ntoken_url = "{url}"\nrevoke_url = "{url}/revoke"\n[codex]\nissuer = "{d.world.openai_auth_base}"\n'
    )
    (policies / "gateway.toml").write_text(f'[credentials]\nclaude_file = "{d.claude_file}"\n')


async def start(d, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, *arguments, env=d.child_environment(), stdin=pipe, stdout=pipe, stderr=pipe
    )


async def run(d, *arguments: str, text: str = "") -> tuple[int, str]:
    child = await start(d, *arguments)
    out, err = await asyncio.wait_for(child.communicate(text.encode()), 30)
    both = out.decode() + err.decode()
    assert "Traceback" not in both
    return child.returncode, both


async def test_a_whole_life_through_pipes_on_the_files(desk, tmp_path) -> None:
    async with desk(tmp_path, seed=False, clock=SYSTEM_CLOCK) as d:
        prepare(d)
        code, text = await run(d, "status")
        assert (code, "Run: clawgate auth login claude" in text) == (0, True)

        child = await start(d, "login", "claude")
        url = ""
        while not url.startswith("https://"):
            url = (await asyncio.wait_for(child.stdout.readline(), 20)).decode().strip()
        given, state = d.approve(url)
        out, _ = await child.communicate(f"{given}#{state}\n".encode())
        assert (child.returncode, out.decode().strip()) == (0, "claude: signed in as owner@sandbox.invalid")
        first = d.stored()["accessToken"]

        code, text = await run(d, "status", "--json")
        line = json.loads(text)[0]
        assert (code, line["provider"], line["health"]) == (0, "claude", "ok")
        assert first not in text
        code, text = await run(d, "refresh", "claude")
        assert (code, text.strip()) == (0, "claude: refreshed as owner@sandbox.invalid")
        assert d.stored()["accessToken"] != first
        code, text = await run(d, "logout", "claude")
        assert (code, text.strip()) == (0, "claude: signed out")
        code, text = await run(d, "refresh", "claude")
        assert (code, "nobody is signed in" in text) == (77, True)


async def test_a_login_is_begun_in_one_call_and_finished_in_another(desk, tmp_path) -> None:
    async with desk(tmp_path, seed=False, clock=SYSTEM_CLOCK) as d:
        prepare(d)
        code, text = await run(d, "login", "codex")
        assert (code, "--resume" in text) == (2, True)
        url = next(line.strip() for line in text.splitlines() if "https://" in line or "/oauth/authorize" in line)
        given, state = d.approve(url)
        code, text = await run(d, "login", "codex", "--resume", text="code#wrong-state\n")
        assert (code, "another login" in text) == (2, True)
        code, text = await run(
            d, "login", "codex", "--resume", text=f"http://localhost:1455/?code={given}&state={state}"
        )
        assert (code, text.strip()) == (0, "codex: signed in as owner@sandbox.invalid (plus)")
        code, text = await run(d, "login", "codex", "--resume", text="x")
        assert (code, "clawgate auth login codex" in text) == (1, True)


async def test_with_the_gateway_up_it_is_asked(desk, tmp_path) -> None:
    async with desk(tmp_path, clock=SYSTEM_CLOCK) as d:
        prepare(d)
        sign_ins = d.sign_ins()
        server = ControlServer(d.paths.control_socket("gateway"), operations(sign_ins))
        await server.start()
        try:
            code, text = await run(d, "import", "codex", "-", text=d.codex_file.read_text())
            assert (code, text.strip()) == (0, "codex: imported as owner@sandbox.invalid (plus)")
            assert await sign_ins.refresher.keeper("codex").peek() is not None
            code, text = await run(d, "status")
            assert "owner@sandbox.invalid" in text
            code, text = await run(d, "login", "nobody")
            assert (code, "known: claude, codex, copilot" in text) == (1, True)
        finally:
            await server.stop()


async def test_bad_settings_name_the_file_and_the_fix(desk, tmp_path) -> None:
    async with desk(tmp_path, clock=SYSTEM_CLOCK) as d:
        prepare(d)
        (d.paths.policies / "oauth.toml").write_text('[claude]\ntoken_url = "https://claude.ai/oauth/token"\n')
        code, text = await run(d, "status")
        assert code == 78
        for word in ("oauth.toml:2", "claude.token_url", "platform.claude.com"):
            assert word in text
