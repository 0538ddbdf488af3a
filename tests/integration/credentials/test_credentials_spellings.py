"""The policy's own spellings of signing in, which belong to OpenClaw's command and reach the gateway's."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

from shared.clock import SYSTEM_CLOCK


async def openclaw(d, *arguments: str, lines=None) -> tuple[int, str]:
    """Run the command; `lines` is told what it printed so far and gives the next line typed."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openclaw.cli", *arguments),
        env=d.child_environment(),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = ""
    if lines is not None:
        async with asyncio.timeout(30):
            while (typed := lines(said)) is None:
                said += (await child.stdout.read(4096)).decode()
        child.stdin.write(typed.encode())
    rest, _ = await asyncio.wait_for(child.communicate(), 30)
    said += rest.decode()
    assert "Traceback" not in said
    return child.returncode, said


def write_policy(d) -> None:
    d.paths.policies.mkdir(parents=True)
    (d.paths.policies / "oauth.toml").write_text(
        f'[codex]\nissuer = "{d.world.openai_auth_base}"\n'
        f'[copilot]\nlogin_base = "{d.world.github_base}"\napi_base = "{d.world.github_api_base}"\n'
    )


async def test_onboard_signs_in_at_codex_through_a_pipe(desk, tmp_path) -> None:
    async with desk(tmp_path, seed=False, clock=SYSTEM_CLOCK) as d:
        write_policy(d)

        def paste(said: str) -> str | None:
            if (url := re.search(r"http\S+/oauth/authorize\S+", said)) is None:
                return None
            code, state = d.approve(url[0])
            return f"http://localhost:1455/auth/callback?code={code}&state={state}\n"

        arguments = ("onboard", "--auth-choice", "openai-codex", "--accept-risk")
        code, text = await openclaw(d, *arguments, lines=paste)
        assert (code, "codex: signed in as owner@sandbox.invalid" in text) == (0, True), text


async def test_login_github_copilot_shows_the_code_and_waits_for_the_person(desk, tmp_path) -> None:
    async with desk(tmp_path, seed=False, clock=SYSTEM_CLOCK) as d:
        write_policy(d)

        def allow(said: str) -> str | None:
            if (code := re.search(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", said)) is None:
                return None
            d.world.decide_device(code[0], approved=True)
            return "\n"

        code, text = await openclaw(d, "models", "auth", "login-github-copilot", lines=allow)
        assert (code, "copilot: signed in" in text) == (0, True), text


@pytest.mark.parametrize(
    "arguments", [("onboard",), ("onboard", "--auth-choice", "openai-codex"), ("onboard", "--auth-choice", "x")]
)
async def test_incomplete_onboarding_is_refused_before_anything_happens(
    desk, tmp_path, arguments: tuple[str, ...]
) -> None:
    async with desk(tmp_path, seed=False, clock=SYSTEM_CLOCK) as d:
        code, text = await openclaw(d, *arguments)
        assert (code, "--a" in text) == (2, True)


async def test_a_sign_in_of_another_program_is_shown_as_borrowed_until_it_is_taken_over(desk, tmp_path) -> None:
    async with desk(tmp_path, clock=SYSTEM_CLOCK) as d:
        sign_ins = d.sign_ins(borrowed={"codex": d.codex_file})
        lines = {line["provider"]: line for line in await sign_ins.status()}
        assert lines["codex"]["health"] == "borrowed"
        assert str(d.codex_file) in lines["codex"]["detail"]
        assert "clawgate auth import codex" in lines["codex"]["detail"]
        assert lines["copilot"]["health"] == "missing"
        await sign_ins.refresher.stop()
