"""The runbook's list of the policy document's commands: each line is typed into a sandbox and says what it should."""

from __future__ import annotations

import asyncio
import html
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.app import installation_id
from gateway.units.render import Installation, render
from shared.config.paths import Paths
from shared.http.client import http_client
from shared.openclawclient.client import OpenClawClient, PairingRequired
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret
from tests.support.sandbox_process import SandboxProcess, sandbox_process

ROOT = Path(__file__).parents[3]
HEADING = "## The policy document, line by line"
LIMIT_S = 90


@dataclass(frozen=True)
class Row:
    """One command: what is typed, what must be said, how that is checked."""

    old: str
    here: str
    says: str
    checked: str

    @property
    def fragments(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.says)

    @property
    def exits(self) -> set[int]:
        named = re.search(r"exit ((?:\d+(?:, | or )?)+)", self.says)
        return {int(number) for number in re.findall(r"\d+", named[1])} if named else {0}


def rows() -> list[Row]:
    text = (ROOT / "RUNBOOK.md").read_text().partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    found = []
    for line in text.splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and cells[0] != "the document's line" and not cells[0].startswith("---"):
            here = re.fullmatch("`(.+)`", cells[1])
            found.append(Row(cells[0], here[1] if here else "", cells[2], cells[3]))
    return found


ROWS = rows()


def test_every_command_is_checked_or_says_why_not() -> None:
    assert len(ROWS) > 70
    odd = [row for row in ROWS if not re.match(r"(runs|pasted|unit|compose)$|no: .{15,}", row.checked)]
    assert odd == []
    assert [row for row in ROWS if row.checked in {"runs", "pasted"} and not row.here] == []
    assert len([row for row in ROWS if row.checked.startswith("no")]) <= 3


def test_lines_for_systemd_name_units_that_the_installation_writes() -> None:
    units = render(
        Installation(
            state=Path("/var/lib/clawgate"),
            runtime=Path("/run/clawgate"),
            programs=Path("/opt/clawgate/bin"),
            tenants={"nanoclaw": "nanoclaw", "openclaw": "openclaw"},
            zone="Asia/Seoul",
            tunnel=(Path("/usr/local/bin/cloudflared"), Path("/etc/cloudflared/tunnel.json")),
        )
    )
    written = {unit.name for unit in units}
    named = [
        re.search(r"(?:systemctl [a-z]+|journalctl -u) (\S+)", row.here)[1] for row in ROWS if row.checked == "unit"
    ]
    assert len(named) >= 12
    assert {f"{name}.service" for name in named} <= written


def test_lines_for_compose_name_services_of_the_file() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    lines = [row.here for row in ROWS if row.checked == "compose"]
    assert len(lines) == 4
    for line in lines:
        assert re.search(rf"(^  |container_name: ){re.escape(line.split()[-1])}:?$", compose, re.MULTILINE), line


class Operator:
    """Types the lines, with the sandbox's ports and names put in, and plays the browser where something is pasted."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.paths = Paths.resolve(sandbox.state)
        port = sandbox.ready["openclaw"]["ws_url"].rpartition(":")[2]
        self.ports = {
            "localhost:18789": f"127.0.0.1:{port}",
            "localhost:4141": sandbox.ready["copilot_api"]["url"].removeprefix("http://"),
        }
        self.request_id = ""
        self.container = ""

    async def filled_in(self, text: str) -> str:
        """The line as this sandbox needs it."""
        known: dict[str, Callable[[], Awaitable[str]]] = {
            "<folder>": self.folder,
            "<container>": self.container_name,
            "<instance>": self.instance,
            "<requestId>": self.waiting_device,
        }
        for word, find in known.items():
            if word in text:
                text = text.replace(word, await find())
        for word, here in self.ports.items():
            text = text.replace(word, here)
        return text

    async def folder(self) -> str:
        return "general"

    async def instance(self) -> str:
        return installation_id(self.paths)

    async def container_name(self) -> str:
        if not self.container:
            found = self.sandbox.ask("nanoclaw", "workers.list")
            self.container = str(found[0]["container"])
        return self.container

    async def waiting_device(self) -> str:
        """Somebody knocks from outside, and has to wait."""
        if not self.request_id:
            ready = self.sandbox.ready["openclaw"]
            headers = {"CF-Connecting-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9"}
            visitor = OpenClawClient(
                ready["ws_url"], token=Secret(ready["token"]), device=DeviceKey.generate(), headers=headers
            )
            with pytest.raises(PairingRequired) as refused:
                async with visitor:
                    pass
            self.request_id = str(refused.value.request_id)
        return self.request_id

    async def types(self, line: str, *, pasting: bool) -> tuple[int, str]:
        """Run a line; gives its exit code and what it said."""
        child = await asyncio.create_subprocess_exec(
            "bash",
            *("-c", f"exec 2>&1\n{line}"),
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "CLAWGATE_STATE": str(self.sandbox.state),
            },
            stdin=subprocess.PIPE if pasting else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        said = ""
        async with asyncio.timeout(LIMIT_S):
            if pasting:
                while not (
                    re.search(r"^  http\S+\n", said, re.MULTILINE) and ("device" not in said or "code: " in said)
                ):
                    heard = await child.stdout.readline()
                    assert heard, said
                    said += heard.decode()
                pasted = await browse(said)
                rest, _ = await child.communicate(f"{pasted}\n".encode())
            else:
                rest, _ = await child.communicate()
        return int(child.returncode or 0), said + rest.decode()


async def browse(said: str) -> str:
    """Open the printed address, say yes, and give what there is to paste."""
    url = re.findall(r"^  (http\S+)$", said, re.MULTILINE)[-1]
    async with http_client(timeout_s=20) as browser:
        if code := re.search(r"code: (\S+)", said):
            answer = await browser.post(url, data={"user_code": code[1], "decision": "allow"})
            assert answer.status_code == 200
            return ""
        answer = await browser.get(f"{url}&decision=allow")
    if answer.status_code == 302:
        return answer.headers["location"]
    shown = re.search("<code>(.*)</code>", answer.text)
    assert shown, answer.text
    return html.unescape(shown[1])


async def all_ready(sandbox: SandboxProcess) -> None:
    async with asyncio.timeout(60):
        while any(process["state"] != "ready" for process in sandbox.ask("up", "status")):
            await asyncio.sleep(0.2)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_every_line_does_what_the_runbook_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    wrong: list[str] = []
    async with sandbox_process(tmp_path_factory.mktemp("sb")) as sandbox:
        await sandbox.ask_bot("nanoclaw")
        operator = Operator(sandbox)
        for row in ROWS:
            if row.checked not in {"runs", "pasted"}:
                continue
            line, says = await operator.filled_in(row.here), await operator.filled_in(row.says)
            code, said = await operator.types(line, pasting=row.checked == "pasted")
            shown = Row(row.old, line, says, row.checked)
            missing = [fragment for fragment in shown.fragments if fragment not in said]
            if code not in shown.exits or missing:
                wrong.append(f"$ {line}\n{said[-600:]}\n[exit {code}, not {shown.exits}; not said: {missing}]")
            if "restart" in line:
                await all_ready(sandbox)
    assert not wrong, "\n\n".join(wrong)
