"""Real curl and node through the whole chain: decide, prepare, contain, and out through the checking proxy."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.containment.commands import full_argv, permission_flag, prepare
from shared.containment.egress import EgressProxy
from shared.containment.models import Outcome
from shared.containment.run import run_contained
from shared.errors import Denied
from shared.execpolicy.decide import decide_exec
from shared.execpolicy.models import ExecRequest
from shared.execpolicy.policy import ExecPolicy
from shared.execpolicy.resolve import find_program

pytestmark = pytest.mark.slow
POLICY = ExecPolicy()


class Site:
    """A small web server on loopback that stands for the internet."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.port = 0
        self.redirect = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head)
        if self.redirect and "/away" in head:
            writer.write(f"HTTP/1.1 302 x\r\nLocation: {self.redirect}\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            writer.write(b"HTTP/1.1 200 ok\r\nContent-Length: 6\r\n\r\nhello\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def a_world(site: Site) -> AsyncIterator[EgressProxy]:
    """Names ending in example.org lead to the site; everything else to where an attacker wants it."""
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]

    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"] if host.endswith("example.org") else ["127.0.0.2"]

    def is_allowed(host: str, _port: int, _address: str) -> bool:
        return host.endswith("example.org")  # stands for "public" where there is no internet

    async with server, EgressProxy(resolve=resolve, is_allowed=is_allowed).serving() as proxy:
        yield proxy


async def run(command: str, proxy: EgressProxy, folder: Path, **more: object) -> Outcome:
    request = ExecRequest(command, **more)  # type: ignore[arg-type]
    decision = decide_exec(request, POLICY)
    assert decision.verdict != "deny", decision.reason
    for name in ("work", "home"):
        (folder / name).mkdir(exist_ok=True)
    spec = prepare(
        decision, request, POLICY, workspace=folder / "work", empty_home=folder / "home", proxy=proxy, timeout_s=20
    )
    program = find_program(decision.argv[0], POLICY.trusted_dirs)
    assert spec.argv == full_argv(decision, program)
    return await run_contained(spec)


async def test_curl_goes_out_through_the_proxy(tmp_path: Path) -> None:
    site = Site()
    async with a_world(site) as proxy:
        outcome = await run(f"curl -sS http://www.example.org:{site.port}/a?b=1 -d 'text=hi there'", proxy, tmp_path)
        assert (outcome.exit_code, outcome.stdout) == (0, b"hello\n"), outcome.stderr
        again = await run(
            f"curl -sS http://a.example.org:{site.port}/x -: http://b.example.org:{site.port}/y", proxy, tmp_path
        )
        assert again.stdout == b"hello\nhello\n"
    assert site.requests[0].startswith("POST /a?b=1 HTTP/1.1")
    assert "proxy-auth" not in "".join(site.requests).lower()


async def test_83_a_redirect_to_a_private_host_is_refused_at_the_proxy(tmp_path: Path) -> None:
    site = Site()
    async with a_world(site) as proxy:
        site.redirect = f"http://metadata.internal:{site.port}/secret"
        outcome = await run(f"curl -sSL http://www.example.org:{site.port}/away", proxy, tmp_path)
        assert b"is not a public host" in outcome.stdout
        site.redirect = "file:///etc/hostname"
        outcome = await run(f"curl -sSL http://www.example.org:{site.port}/away", proxy, tmp_path)
        assert outcome.exit_code != 0
    assert len(site.requests) == 2


async def test_a_connection_past_the_proxy_is_impossible(tmp_path: Path) -> None:
    """Even a curl that ignored its proxy could not connect: only the proxy's port is open to it."""
    site = Site()
    async with a_world(site) as proxy:
        request = ExecRequest(f"curl -sS http://www.example.org:{site.port}/")
        (tmp_path / "work").mkdir()
        (tmp_path / "home").mkdir()
        spec = prepare(
            decide_exec(request, POLICY), request, POLICY,
            workspace=tmp_path / "work", empty_home=tmp_path / "home", proxy=proxy, timeout_s=20,
        )  # fmt: skip
        argv = ("curl", "-q", "-sS", "--noproxy", "*", f"http://127.0.0.1:{site.port}/")
        from dataclasses import replace

        outcome = await run_contained(replace(spec, argv=argv))
        assert outcome.exit_code == 7, outcome.stderr
    assert site.requests == []


async def test_the_proxy_serves_nobody_else() -> None:
    site = Site()
    async with a_world(site) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(f"GET http://www.example.org:{site.port}/ HTTP/1.1\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 407")
        writer.close()
    assert site.requests == []


async def test_connect_tunnels_only_to_allowed_hosts() -> None:
    site = Site()
    async with a_world(site) as proxy:
        token = base64.b64encode(proxy.url.partition("//")[2].partition("@")[0].encode()).decode()
        for host, status in (("www.example.org", b"200"), ("metadata.internal", b"403")):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(f"CONNECT {host}:{site.port} HTTP/1.1\r\nProxy-Authorization: Basic {token}\r\n\r\n".encode())
            assert (await reader.readline()).split()[1] == status
            writer.close()


@pytest.mark.parametrize(
    ("addresses", "answer"),
    [
        (["93.184.216.34", "127.0.0.1"], "is not a public host"),
        (["127.0.0.1", "93.184.216.34"], "is not a public host"),
        (["::ffff:10.0.0.1"], "is not a public host"),
        ([], "is not a public host"),
        (None, "cannot be reached (gaierror)"),
    ],
)
async def test_84_one_address_that_is_not_public_closes_the_host(addresses: list[str] | None, answer: str) -> None:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def resolve(_host: str, _port: int) -> list[str]:
        if addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, "no")
        return addresses

    async with server, EgressProxy(resolve=resolve).serving() as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        token = base64.b64encode(proxy.url.partition("//")[2].partition("@")[0].encode()).decode()
        writer.write(
            f"GET http://www.example.org:{port}/ HTTP/1.1\r\nProxy-Authorization: Basic {token}\r\n\r\n".encode()
        )
        assert f"www.example.org {answer}" in (await reader.read()).decode()
        writer.close()
    assert site.requests == []


async def test_an_approved_node_program_runs_without_files_network_or_children(tmp_path: Path) -> None:
    site = Site()
    async with a_world(site) as proxy:
        outcome = await run("node -e 'console.log(JSON.parse(process.argv[1]).a)' '{\"a\": 7}'", proxy, tmp_path)
        assert outcome.stdout == b"7\n", outcome.stderr
        for program in (
            'require("fs").readFileSync("/etc/hostname")',
            'require("child_process").execSync("id")',
            f'fetch("http://127.0.0.1:{site.port}/").then(() => process.exit(0), () => process.exit(9))',
        ):
            outcome = await run(f"node -e '{program}'", proxy, tmp_path)
            assert outcome.exit_code != 0, program
    assert site.requests == []


@pytest.mark.parametrize(
    ("version", "flag"),
    [("v18.20.4", ()), ("v20.20.2", ("--experimental-permission",)), ("v22.13.0", ("--permission",)), ("?", ())],
)
def test_nodes_permission_model_is_switched_on_as_its_version_wants(tmp_path: Path, version: str, flag: object) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho {version}\n")
    node.chmod(0o755)
    assert permission_flag(node, 1) == flag


async def test_a_planted_configuration_and_a_foreign_directory_do_nothing(tmp_path: Path) -> None:
    site = Site()
    async with a_world(site) as proxy:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / ".curlrc").write_text("output = planted\n")
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / ".curlrc").write_text("output = planted\n")
        outcome = await run(f"curl -sS http://www.example.org:{site.port}/", proxy, tmp_path)
        assert outcome.stdout == b"hello\n"
        (tmp_path / "work" / "out").symlink_to(tmp_path)
        for cwd in (str(tmp_path), str(tmp_path / "work" / "out"), str(tmp_path / "work" / "gone")):
            with pytest.raises(Denied, match="not a folder of the workspace"):
                await run(f"curl -sS http://www.example.org:{site.port}/", proxy, tmp_path, cwd=cwd)
