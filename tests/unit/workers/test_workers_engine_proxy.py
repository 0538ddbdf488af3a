"""The filter before the engine's socket: what passes, what does not, and that nothing rides behind an allowed call."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.workers.engine_proxy import EngineProxy, decide_container, decide_request, parse_head
from gateway.workers.policy import WorkerPolicy
from gateway.workers.spec import build_spec, docker_config
from shared.errors import Denied, Invalid
from shared.gatewayclient.models import WorkerRequest
from tests.support.engine import SESSION, worker_folders

LABELS = {"Config": {"Labels": {"clawgate.instance": "x"}}}


def head(line: str, **headers: str) -> bytes:
    lines = [line, *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def decide(line: str, **headers: str) -> object:
    return decide_request(parse_head(head(f"{line} HTTP/1.1", **headers)))


@pytest.mark.parametrize(
    "line",
    [
        "GET /_ping",
        "GET /v1.41/containers/json?all=1",
        "POST /v1.41/containers/create?name=x",
        "POST /v1.41/containers/abc/start",
        "DELETE /v1.41/containers/abc?force=True",
        "GET /v1.41/images/nanoclaw-agent:latest/json",
        "POST /v1.41/build?networkmode=none&t=a",
        "POST /v1.41/build/prune?all=1",
    ],
)
def test_what_the_gateway_needs_passes(line):
    decide(line)


@pytest.mark.parametrize(
    "line",
    [
        "POST /v1.41/containers/abc/exec",
        "POST /v1.41/exec/abc/start",
        "GET /v1.41/containers/abc/archive?path=/",
        "PUT /v1.41/containers/abc/archive?path=/",
        "POST /v1.41/containers/abc/update",
        "POST /v1.41/images/create?fromImage=x",
        "POST /v1.41/build",
        "POST /v1.41/build?networkmode=host",
        "POST /v1.41/build?networkmode=none&networkmode=host",
        "GET /v1.41/../v1.41/secrets",
        "GET /v1.41/images/..%2f..%2fsecrets/json",
        "POST /v1.41/swarm/init",
        "POST /v1.41/volumes/create",
        "GET //v1.41/info",
    ],
)
def test_everything_else_is_refused(line):
    with pytest.raises((Denied, Invalid)):
        decide(line)


def test_only_an_attach_becomes_a_byte_stream():
    decide("POST /containers/abc/attach", Upgrade="tcp", Connection="Upgrade")
    with pytest.raises(Denied, match="gives no byte stream"):
        decide("GET /_ping", Upgrade="tcp", Connection="Upgrade")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /_ping HTTP/1.0\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nA: 1\nB: 2\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /build HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET  /_ping HTTP/1.1\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(raw):
    with pytest.raises(Invalid):
        parse_head(raw)


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, Any]:
    """What the gateway really asks for when it starts a worker."""
    spec = build_spec(
        WorkerRequest(group="g", session_id=SESSION),
        WorkerPolicy(),
        tenant="nanoclaw",
        worker_id="0123456789abcdef",
        instance="x",
        name_prefix="nanoclaw",
        folders=worker_folders(tmp_path / "state"),
        uid=1000,
        gid=1000,
    )
    return json.loads(json.dumps(docker_config(spec)))


def allow(tmp_path: Path, body: dict[str, Any]) -> None:
    (tmp_path / "state" / "gateway").mkdir(parents=True, exist_ok=True)
    decide_container(body, [tmp_path / "state"], [tmp_path / "state" / "gateway"])


def test_a_real_worker_may_be_created(tmp_path, wanted):
    allow(tmp_path, wanted)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("HostConfig", "Privileged"), True),
        (("HostConfig", "NetworkMode"), "host"),
        (("HostConfig", "CapDrop"), []),
        (("HostConfig", "CapAdd"), ["SYS_ADMIN"]),
        (("HostConfig", "SecurityOpt"), ["no-new-privileges", "seccomp=unconfined"]),
        (("HostConfig", "PidMode"), "host"),
        (("HostConfig", "IpcMode"), "host"),
        (("HostConfig", "Binds"), ["/:/host"]),
        (("HostConfig", "Devices"), [{"PathOnHost": "/dev/sda"}]),
        (("HostConfig", "VolumesFrom"), ["other"]),
        (("HostConfig", "ReadonlyRootfs"), False),
        (("HostConfig", "Memory"), 0),
        (("HostConfig", "Mounts", 0, "Source"), "/"),
        (("HostConfig", "Mounts", 0, "Source"), "/var/run/docker.sock"),
        (("HostConfig", "Mounts", 0, "Type"), "volume"),
        (("HostConfig", "Mounts", 0, "BindOptions"), {"Propagation": "shared"}),
        (("User",), "0:0"),
        (("User",), "root"),
        (("User",), ""),
        (("Labels",), {}),
    ],
)
def test_one_thing_more_and_it_may_not(tmp_path, wanted, path, value):
    changed = copy.deepcopy(wanted)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(Denied):
        allow(tmp_path, changed)


@pytest.mark.parametrize("where", ["gateway", "gateway/.env", ".", "nanoclaw/link"])
def test_no_mount_leads_to_the_gateways_own_or_outside(tmp_path, wanted, where):
    (tmp_path / "state" / "nanoclaw").mkdir(parents=True, exist_ok=True)
    (tmp_path / "state" / "nanoclaw" / "link").symlink_to("/etc")
    wanted["HostConfig"]["Mounts"][0]["Source"] = str(tmp_path / "state" / where)
    with pytest.raises(Denied, match="the mount of"):
        allow(tmp_path, wanted)


class Engine:
    """Answers like an engine and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while raw := await reader.readuntil(b"\r\n\r\n"):
                line = raw.split(b"\r\n")[0].decode()
                self.asked.append(line)
                if "attach" in line and "missing" not in line:
                    writer.write(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
                    writer.write(await reader.read(100))
                    break
                body = json.dumps(LABELS if "foreign" not in line else {"Config": {}}).encode()
                status = b"404 Not Found" if "missing" in line else b"200 OK"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
                if b"Connection: close" in raw or b"HTTP/1.0" in raw:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()


@pytest.fixture
async def engine(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("p")
    engine = Engine()
    server = await asyncio.start_unix_server(engine.serve, folder / "engine.sock")
    filtered = await EngineProxy(folder / "engine.sock", [folder], []).serve(folder / "proxy.sock")
    engine.path = folder / "proxy.sock"
    yield engine
    for one in (server, filtered):
        one.close()


async def ask(engine: Engine, raw: bytes, *, eof: bool = True) -> bytes:
    reader, writer = await asyncio.open_unix_connection(engine.path)
    writer.write(raw)
    if eof:
        writer.write_eof()
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_second_request_on_the_same_connection_does_not_reach_the_engine(engine):
    answer = await ask(engine, head("GET /_ping HTTP/1.1") + head("POST /swarm/init HTTP/1.1"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert engine.asked == ["GET /_ping HTTP/1.1"]


async def test_nothing_rides_behind_an_attach_that_was_refused(engine):
    upgrade = head("POST /containers/missing/attach HTTP/1.1", Connection="Upgrade", Upgrade="tcp")
    answer = await ask(engine, upgrade + head("POST /swarm/init HTTP/1.1"))
    assert answer.startswith(b"HTTP/1.1 404")
    assert not any("swarm" in line for line in engine.asked)


async def test_an_attach_carries_bytes_both_ways(engine):
    upgrade = head("POST /containers/abc/attach HTTP/1.1", Connection="Upgrade", Upgrade="tcp")
    assert (await ask(engine, upgrade + b"hello", eof=False)).endswith(b"\r\n\r\nhello")


async def test_another_programs_container_is_not_touched(engine):
    answer = await ask(engine, head("POST /containers/foreign/kill HTTP/1.1"))
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"not one of ours" in answer
    assert engine.asked == ["GET /containers/foreign/json HTTP/1.0"]


async def test_a_create_request_with_a_key_twice_is_refused(engine):
    body = b'{"User": "0", "user": "1"}'
    answer = await ask(engine, head("POST /containers/create HTTP/1.1", Content_Length=str(len(body))) + body)
    assert b"repeated keys" in answer
    assert engine.asked == []
