"""MCP servers for real: a small one as a contained process, and one over HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import sysconfig
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from openclaw.agent.mcp.policy import McpPolicy
from openclaw.agent.mcp.servers import McpServers
from openclaw.agent.tools import ToolContext, ToolRegistry
from openclaw.sessions import MAIN_SESSION
from shared.config.paths import Paths
from shared.containment.egress import EgressProxy
from shared.errors import ConfigError
from shared.providers import ToolCall

SERVER = Path(__file__).parents[2] / "support" / "mcp_server.py"
PYTHON = str(Path(sys.executable).resolve())
PACKAGES = sysconfig.get_paths()["purelib"]
HERE = ToolContext("r", MAIN_SESSION)
READABLE = [str(Path(PYTHON).parents[1]), PACKAGES, str(SERVER.parent)]


def contained(**more):
    start = f"import sys; sys.path.insert(0, {PACKAGES!r}); sys.argv = ['x']; exec(open({str(SERVER)!r}).read())"
    command = [PYTHON, "-I", "-c", start]
    return {"small": {"command": command, "readable": READABLE, "timeout_s": 20, **more}}


@asynccontextmanager
async def connected(folder, servers):
    registry = ToolRegistry()
    paths = Paths(state=folder, runtime=folder / "r")
    policy = McpPolicy.model_validate({"servers": servers})
    mcp = McpServers("openclaw", paths, policy, registry, EgressProxy())
    mcp.start()
    try:
        async with asyncio.timeout(45):
            await mcp.servers[0].connected.wait()
        yield registry, mcp.servers[0]
    finally:
        await mcp.close()


async def call(registry, name, **arguments):
    return await registry.run(ToolCall("c", f"mcp_small_{name}", json.dumps(arguments)), HERE)


async def test_a_contained_server_offers_its_tools_and_reaches_only_its_folder(tmp_path):
    before = set(psutil.Process().children(recursive=True))
    async with connected(tmp_path, contained(tools=["echo", "flood", "look", "keep"])) as (registry, _):
        names = {tool.spec.name for tool in registry.tools}
        assert names == {"mcp_small_echo", "mcp_small_flood", "mcp_small_look", "mcp_small_keep"}
        said = await call(registry, "echo", text="hi")
        assert (said.text, said.is_error, said.outside) == ("you said hi", False, True)
        assert registry.specs("agent:main:discord:channel:1") == []
        for path in ("/etc/passwd", str(tmp_path), f"/proc/{psutil.Process().pid}/environ"):
            refused = await call(registry, "look", path=path)
            assert refused.is_error
            assert "Errno" in refused.text
        assert (await call(registry, "keep", text="kept")).text == "small"
        assert (tmp_path / "openclaw" / "data" / "mcp" / "small" / "kept.txt").read_text() == "kept"
        assert len((await call(registry, "flood", count=500_000)).text) < 25_000
        assert (await call(registry, "echo")).is_error
        children = [one for one in psutil.Process().children(recursive=True) if one not in before]
        assert children
    _gone, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


async def test_a_call_that_takes_too_long_and_a_server_that_leaves_are_results(tmp_path):
    async with connected(tmp_path, contained(timeout_s=1)) as (registry, server):
        slow = await call(registry, "slow")
        assert slow.is_error
        assert "imed out" in slow.text
        left = await call(registry, "leave")
        assert left.is_error
        async with asyncio.timeout(5):
            while registry.tools:
                await asyncio.sleep(0.02)
        assert not server.connected.is_set()
        async with asyncio.timeout(45):
            await server.connected.wait()  # it is started again


async def test_a_server_over_http(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)], stderr=subprocess.DEVNULL)
    try:
        server = {"url": f"http://127.0.0.1:{port}/mcp", "everywhere": True}
        async with connected(tmp_path, {"small": server}) as (registry, _):
            assert (await call(registry, "echo", text="hi")).text == "you said hi"
            assert "mcp_small_echo" in {spec.name for spec in registry.specs("agent:main:discord:channel:1")}
    finally:
        process.kill()
        process.wait()


async def test_a_program_that_is_no_server_costs_nobody_anything(tmp_path):
    registry = ToolRegistry()
    paths = Paths(state=tmp_path, runtime=tmp_path / "r")
    policy = McpPolicy.model_validate({"servers": {"no": {"command": ["/usr/bin/true"]}}})
    mcp = McpServers("openclaw", paths, policy, registry, EgressProxy())
    mcp.start()
    async with asyncio.timeout(10):
        while mcp.servers[0].problem == "not connected yet":
            await asyncio.sleep(0.02)
    assert registry.tools == []
    await mcp.close()


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"command": ["/bin/x"], "url": "https://x.example"},
        {"command": ["node", "x.js"]},
        {"url": "http://mcp.example.org/mcp"},
        {"url": "https://user:pass@mcp.example.org/mcp"},
        {"url": "file:///etc/passwd"},
        {"command": ["/bin/x"], "readable": ["relative"]},
        {"command": ["/bin/x"], "unknown": 1},
    ],
)
def test_a_server_that_is_not_plain_is_refused(server):
    with pytest.raises((ValueError, ConfigError)):
        McpPolicy.model_validate({"servers": {"x": server}})
