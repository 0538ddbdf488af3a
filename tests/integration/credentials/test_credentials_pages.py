"""A new user over pipes: the address that a command prints is opened, a person decides, and what comes back is pasted.

The emulators' own pages take the browser's part, as in `clawgate sandbox`.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.auth import cli
from gateway.sandbox.meta.world import MetaWorld
from gateway.sandbox.models import ModelWorld
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import GatewayError
from shared.http.client import http_client
from shared.secrets.files import write_private

PIPE = asyncio.subprocess.PIPE
REDIRECT = "https://localhost:3000/callback"


@dataclass
class Person:
    """Someone at a terminal and in a browser."""

    paths: Paths

    async def types(self, *arguments: str, pasting: str = "") -> tuple[int, str]:
        """Run `clawgate auth` with its standard input from a pipe."""
        given = [*arguments, "--state", str(self.paths.state)]
        result = await asyncio.to_thread(self._run, given, pasting)
        error = result.exception
        if isinstance(error, GatewayError):
            return error.exit_code, f"{result.output}{error.detail}"
        assert error is None
        return result.return_value or 0, result.output

    def _run(self, arguments: list[str], pasting: str) -> Result:
        return CliRunner(env={"CLAWGATE_RUNTIME": str(self.paths.runtime)}).invoke(
            cli, arguments, input=pasting, standalone_mode=False
        )

    async def waits_for(self, decision: str, *arguments: str) -> tuple[int, str]:
        """Run it as a process that waits, and decide in the browser once it has printed the code."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", "auth", *arguments, "--state", str(self.paths.state)),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.paths.state),
                "CLAWGATE_RUNTIME": str(self.paths.runtime),
            },
            stdin=PIPE,
            stdout=PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = ""
        async with asyncio.timeout(40):
            while "code: " not in said:
                said += (await child.stdout.readline()).decode()
            await self.decides_device(said, decision)
            rest, _ = await child.communicate(b"")
        return child.returncode, said + rest.decode()

    async def decides(self, said: str, decision: str) -> str:
        """Open the printed address and press a button; gives what there is to paste."""
        (url,) = re.findall(r"^  (http\S+)$", said, re.MULTILINE)
        async with http_client(timeout_s=10) as browser:
            page = await browser.get(url)
            assert (page.status_code, "Allow" in page.text, "Refuse" in page.text) == (200, True, True)
            answer = await browser.get(f"{url}&decision={decision}")
        if answer.status_code == 302:
            return answer.headers["location"]
        return html.unescape(re.search("<code>(.*)</code>", answer.text)[1])

    async def decides_device(self, said: str, decision: str) -> None:
        (url,) = re.findall(r"^  (http\S+)$", said, re.MULTILINE)
        (code,) = re.findall(r"code: (\S+)", said)
        async with http_client(timeout_s=10) as browser:
            assert "Type the code" in (await browser.get(url)).text
            wrong = await browser.post(url, data={"user_code": "NONE-0000", "decision": decision})
            assert "no sign-in waits" in wrong.text
            answer = await browser.post(url, data={"user_code": code.lower(), "decision": decision})
            assert answer.status_code == 200

    async def signs_in(self, *who: str) -> str:
        """The two calls of a code flow, with the person's yes between them."""
        code, said = await self.types("login", *who)
        assert (code, "--resume" in said) == (2, True)
        code, told = await self.types("login", *who, "--resume", pasting=await self.decides(said, "allow") + "\n")
        assert code == 0, told
        return told.strip()


@pytest.fixture
async def person(tmp_path: Path):
    async with ModelWorld() as models, MetaWorld() as meta:
        paths = Paths(tmp_path / "state", tmp_path / "run")
        env = ""
        for network in ("threads", "instagram"):
            app = meta.new_app(network, REDIRECT)
            env += f"{network.upper()}_APP_ID={app.app_id}\n{network.upper()}_APP_SECRET={app.secret}\n"
        write_private(paths.env_file, env)
        overlay_file(
            operator_file("oauth", paths),
            {
                "claude": {
                    "authorize_url": models.claude_authorize_url,
                    "token_url": models.claude_token_url,
                    "revoke_url": f"{models.claude_token_url}/revoke",
                },
                "codex": {"issuer": models.openai_auth_base},
                "copilot": {"login_base": models.github_base, "api_base": models.github_api_base},
                "threads": meta.endpoints("threads"),
                "instagram": meta.endpoints("instagram"),
            },
        )
        yield Person(paths)


async def test_claude_from_the_first_login_to_the_logout(person: Person) -> None:
    assert await person.signs_in("claude") == "claude: signed in as owner@sandbox.invalid"
    assert (await person.types("refresh", "claude"))[1].strip() == "claude: refreshed as owner@sandbox.invalid"
    assert (await person.types("logout", "claude"))[1].strip() == "claude: signed out"
    code, said = await person.types("refresh", "claude")
    assert (code, "clawgate auth login claude" in said) == (77, True)


async def test_a_no_in_the_browser_is_understood_and_the_next_login_works(person: Person) -> None:
    for provider in ("codex", "claude"):
        _, said = await person.types("login", provider)
        code, told = await person.types("login", provider, "--resume", pasting=await person.decides(said, "refuse"))
        assert (code, "access_denied" in told, f"clawgate auth login {provider}" in told) == (77, True, True)
    assert await person.signs_in("codex") == "codex: signed in as owner@sandbox.invalid (plus)"
    assert (await person.types("refresh", "codex"))[0] == 0


async def test_copilot_by_its_code(person: Person) -> None:
    code, said = await person.waits_for("allow", "login", "copilot")
    assert (code, "copilot: signed in as sandbox-owner" in said) == (0, True), said
    assert "still accepted, nothing to refresh as sandbox-owner" in (await person.types("refresh", "copilot"))[1]
    assert "GitHub cannot be told from here" in (await person.types("logout", "copilot"))[1]


@pytest.mark.parametrize("network", ["threads", "instagram"])
async def test_a_tenants_own_network_and_its_commands(person: Person, network: str) -> None:
    who = (network, "--tenant", "nanoclaw")
    code, said = await person.types("login", network)
    assert (code, "add --tenant nanoclaw or --tenant openclaw" in said) == (1, True)
    assert (await person.signs_in(*who)).startswith(f"{network}: signed in as sandbox.")
    code, said = await person.types("refresh", *who)
    assert (code, "younger than a day" in said) == (69, True)
    code, said = await person.types("status")
    line = next(line for line in said.splitlines() if line.startswith(f"{network} (nanoclaw)"))
    assert (code, line.split()[-1]) == (0, "ok"), "too young is no failure"
    code, said = await person.types("logout", *who)
    assert (code, "cannot be told from here" in said) == (0, True)
    _, said = await person.types("status")
    assert f"{network} (nanoclaw): nobody is signed in. Run: clawgate auth login {network} --tenant nanoclaw" in said
