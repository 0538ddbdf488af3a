"""compose.yaml on a real engine: the images are built, everything comes up, the policy's own lines work."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.run import free_port
from gateway.workers.docker_engine import DockerEngine
from gateway.workers.engine_proxy import EngineProxy
from gateway.workers.image.product import IMAGES, build_images
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from tests.support.engine import docker_host, shell_spec
from tests.support.missing import missing, require_root

__all__ = ["docker_host"]

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(420)]

CHECKOUT = Path(__file__).parents[3]
UID = 1000
OPENCLAW = "openclaw-openclaw-gateway-1"
SERVICES = ("engine", "gateway", "nanoclaw", "openclaw-gateway")


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=240
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Stack:
    """The services of compose.yaml on an engine."""

    docker_host: str
    folder: Path
    variables: dict[str, str]

    def compose(self, *words: str) -> str:
        command = ("docker-compose", "--project-name", "clawgate-test", "--file", str(CHECKOUT / "compose.yaml"))
        return run(*command, *words, DOCKER_HOST=self.docker_host, **self.variables)

    def docker(self, *words: str) -> str:
        return run("docker", *words, DOCKER_HOST=self.docker_host)

    def inspect(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.docker("inspect", name))[0])

    def wait_healthy(self, service: str) -> None:
        identity = self.compose("ps", "-q", service).strip()
        deadline = time.monotonic() + 120
        while (status := self.inspect(identity)["State"]["Health"]["Status"]) != "healthy":
            assert time.monotonic() < deadline, f"{service} is {status}:\n{self.docker('logs', identity)}"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def stack(docker_host: str) -> Iterator[Stack]:
    if shutil.which("docker-compose") is None:
        missing("docker-compose is missing: scripts/setup.sh --tests installs it")
    require_root("give the folders to the containers' user")
    build_images(docker_host, CHECKOUT)
    with tempfile.TemporaryDirectory(prefix="cg-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        state = folder / "s"
        printed = run(
            *(str(CHECKOUT / ".venv/bin/clawgate"), "install", "compose", "--apply", "--state", str(state)),
            *("--uid", str(UID), "--gid", str(UID), "--engine", docker_host.removeprefix("unix://")),
        )
        variables = dict(line.split("=", 1) for line in printed.splitlines())
        # 4141 is the whole machine's and may be somebody's.
        overlay_file(operator_file("gateway", Paths.resolve(state)), {"model_api": {"port": 0}})
        for place in (state / "policies").iterdir():
            place.chmod(0o644)
        rules = folder / "iptables" / "rules.v4"
        rules.parent.mkdir()
        rules.write_text("*filter\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n")
        rules.chmod(0o640)  # as netfilter-persistent leaves it
        more = {"OPENCLAW_PORT": str(free_port()), "FIREWALL_RULES": str(rules.parent)}
        made = Stack(docker_host, folder, {**variables, **more})
        try:
            made.compose("up", "-d", "--no-build")
            for service in ("nanoclaw", "openclaw-gateway"):
                made.wait_healthy(service)
            yield made
        finally:
            made.compose("down", "--timeout", "10")


def test_everything_comes_up_and_the_policys_lines_answer(stack: Stack) -> None:
    health = stack.docker("exec", OPENCLAW, "openclaw", "health")
    assert health
    assert "discord" in stack.docker("exec", OPENCLAW, "openclaw", "channels", "status").lower()
    assert stack.docker("exec", OPENCLAW, "node", "--version").startswith("v22.")
    assert stack.docker("exec", OPENCLAW, "sh", "-c", "command -v node; command -v curl").split() == [
        "/usr/local/bin/node",
        "/usr/bin/curl",
    ]
    assert stack.docker("exec", OPENCLAW, "sh", "-c", "command -v jq || echo none").strip() == "none"
    assert "openclaw.db" in stack.docker("exec", OPENCLAW, "ls", "/home/node/.openclaw")
    # The tests' own engine forwards no ports, so the container is asked over its bridge, as the forwarding would.
    facts = stack.inspect(OPENCLAW)
    (address,) = (network["IPAddress"] for network in facts["NetworkSettings"]["Networks"].values())
    assert "<title>" in run("curl", "-fsS", "--max-time", "10", f"http://{address}:18789/")
    published = facts["HostConfig"]["PortBindings"]
    assert published == {"18789/tcp": [{"HostIp": "127.0.0.1", "HostPort": stack.variables["OPENCLAW_PORT"]}]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("openclaw channels status", "Gateway reachable"),
        ("openclaw models set github-copilot/gpt-5-mini", "Default model: github-copilot/gpt-5-mini"),
        ("openclaw config set tools.exec.ask '\"on-miss\"' --json", "Updated tools.exec.ask"),
        ("openclaw devices list", "Pending (0)"),
        ("cat /home/node/.openclaw/agents/main/agent/auth-profiles.json", "profiles"),
        ("openclaw onboard --auth-choice openai-codex --accept-risk || true", "/oauth/authorize?"),
        # With a way out it shows the code and waits for the person, without one it says who cannot be reached.
        ("timeout 20 openclaw models auth login-github-copilot || true", "github.com"),
        ("openclaw security audit || true", "Score:"),
        ("bash /home/node/.openclaw/skills/secureclaw/scripts/quick-audit.sh || true", "Security Score:"),
    ],
)
def test_the_documents_own_docker_exec_lines_work_unchanged(stack: Stack, line: str, said: str) -> None:
    assert said in stack.docker("exec", OPENCLAW, "sh", "-c", f"({line}) 2>&1")


def test_where_sign_ins_belong_they_begin(stack: Stack) -> None:
    gateway = stack.compose("ps", "-q", "gateway").strip()
    line = "(clawgate auth login codex || true) 2>&1"
    assert "/oauth/authorize?" in stack.docker("exec", gateway, "sh", "-c", line)


def test_stopping_openclaw_leaves_nanoclaw_running(stack: Stack) -> None:
    stack.compose("stop", "openclaw-gateway")
    assert stack.inspect(OPENCLAW)["State"]["Status"] == "exited"
    nanoclaw = stack.compose("ps", "-q", "nanoclaw").strip()
    stack.docker("exec", nanoclaw, "python", "-m", "shared.lifecycle.probe", "nanoclaw")
    stack.compose("start", "openclaw-gateway")
    deadline = time.monotonic() + 60
    while "nothing is running" in stack.docker("exec", OPENCLAW, "sh", "-c", "(openclaw health || true) 2>&1"):
        assert time.monotonic() < deadline, "OpenClaw did not come back"
        time.sleep(0.5)


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_is_confined(stack: Stack, service: str) -> None:
    facts = stack.inspect(stack.compose("ps", "-q", service).strip())
    host = facts["HostConfig"]
    assert facts["Config"]["User"].split(":")[0] == str(UID)
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] == 512
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert facts["Config"]["Healthcheck"]["Test"][0] == "CMD"
    sees_engine = any("docker.sock" in str(mount["Source"]) for mount in facts["Mounts"])
    assert sees_engine == (service == "engine")
    if service in {"nanoclaw", "openclaw-gateway"}:
        tenant = service.removesuffix("-gateway")
        places = {mount["Destination"]: mount["RW"] for mount in facts["Mounts"]}
        state, runtime = stack.variables["CLAWGATE_STATE"], stack.variables["CLAWGATE_RUNTIME"]
        own = {f"{state}/{tenant}": True, f"{runtime}/t/{tenant}": True, f"{runtime}/c/{tenant}": True}
        token_states = {f"{state}/openclaw/threads": False, "/home/node/.openclaw/threads": False}
        more = {"/home/node/.openclaw": True, **token_states} if tenant == "openclaw" else {}
        assert places == {**own, f"{state}/policies": False, **more}


def test_only_workers_are_found_by_the_policys_filter(stack: Stack) -> None:
    ours = {stack.inspect(stack.compose("ps", "-q", service).strip())["Name"][1:] for service in SERVICES}
    assert ours == {"clawgate-engine", "clawgate-gateway", "nanoclaw", OPENCLAW}
    found = set(stack.docker("ps", "--filter", "name=nanoclaw-", "--format", "{{.Names}}").split())
    assert not found & ours


def test_the_token_states_are_the_gateways_to_write(stack: Stack) -> None:
    state = Path(stack.variables["CLAWGATE_STATE"])
    stack.docker("exec", "clawgate-gateway", "touch", str(state / "openclaw" / "threads" / "token-state.json"))
    for folder in ("/home/node/.openclaw/threads", str(state / "openclaw" / "threads")):
        written = stack.docker("exec", OPENCLAW, "sh", "-c", f"touch {folder}/x 2>&1 || true")
        assert "Read-only file system" in written
    assert stack.docker("exec", OPENCLAW, "cat", "/home/node/.threads-token-state.json") == ""
    (state / "openclaw" / "threads" / "token-state.json").unlink()


def test_the_gateway_has_the_node_that_may_call_token_hosts(stack: Stack) -> None:
    assert stack.docker("exec", "clawgate-gateway", "node", "--version").startswith("v22.")


def test_the_audit_judges_what_is_really_reached(stack: Stack) -> None:
    audit = "openclaw security audit || true"
    assert "Score: 100 of 100" in stack.docker("exec", OPENCLAW, "sh", "-c", audit)
    elsewhere = ("-e", f"OPENCLAW_PUBLISHED=0.0.0.0:{stack.variables['OPENCLAW_PORT']}:18789")
    said = stack.docker("exec", *elsewhere, OPENCLAW, "sh", "-c", audit)
    assert "Score: 39 of 100" in said
    assert "CRITICAL AUD-NET-001" in said

    whole = json.loads(stack.docker("exec", "clawgate-gateway", "sh", "-c", "clawgate audit --json || true"))
    assert whole["profile"]["deployment"] == "compose"
    # This machine's own, and what no test sets up: swap, sshd, and a remote for backups.
    mine = {"AUD-OPS-002", "AUD-OPS-010"}
    open_ = {row["id"]: row["evidence"] for row in whole["findings"] if row["result"] in ("fail", "unknown")}
    assert not open_.keys() - mine, open_


def test_the_gateway_reaches_the_engine_through_the_filter_alone(stack: Stack) -> None:
    gateway = stack.compose("ps", "-q", "gateway").strip()
    assert "engine docker" in stack.docker("exec", gateway, "python", "-m", "shared.lifecycle.probe", "gateway")
    code = (
        "import docker, os\n"
        "client = docker.APIClient(os.environ['DOCKER_HOST'])\n"
        "try:\n"
        "    client.create_container('nanoclaw-agent:latest', host_config=client.create_host_config(privileged=True))\n"
        "except docker.errors.APIError as error:\n"
        "    print(error.explanation)\n"
    )
    assert "may not be created" in stack.docker("exec", gateway, "python", "-c", code)


async def test_a_real_worker_lives_its_life_through_the_filter(docker_host: str) -> None:
    with tempfile.TemporaryDirectory(prefix="cg-", dir="/var/tmp") as name:
        folder = Path(name)
        server = await EngineProxy(Path(docker_host.removeprefix("unix://")), [folder], []).serve(folder / "e.sock")
        engine = DockerEngine(f"unix://{folder / 'e.sock'}")
        spec = shell_spec(folder, "read word; echo heard $word; read more", worker_id="fedcba9876543210")
        container, attachment = await engine.start(spec, deadline_s=60)
        try:
            await attachment.write(b"hello\n")
            heard = b""
            async with asyncio.timeout(30):
                while b"heard hello" not in heard:
                    heard += b"".join(data for _, data in await attachment.read())
            await engine.stop(container.id, grace_s=1)
        finally:
            await attachment.close()
            await engine.remove(container.id)
            await engine.close()
            server.close()


def test_the_images_are_named_as_the_policy_names_them() -> None:
    assert IMAGES["openclaw"] == "openclaw:local"
