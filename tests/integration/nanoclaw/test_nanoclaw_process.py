"""The tenant as a process: started as the supervisor does it, asked over its control socket, stopped by a signal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nanoclaw_standins import paths_in

COMMAND = [sys.executable, "-c", "from nanoclaw.cli import main; main()"]
KEY = "a-tenant-key"


@asynccontextmanager
async def a_gateway_socket(paths, **startup):
    """Answers `startup` and an empty list of workers on the tenant's socket, to whoever has the key."""

    async def serve(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            target = head.split()[1].decode()
            body: object = []
            status = "200 OK"
            if f"Bearer {KEY}".encode() not in head:
                status = "401 Unauthorized"
                body = {"error": {"code": "auth.required", "detail": "the tenant key is not ours", "retryable": False}}
            elif target == "/v1/startup":
                body = {"tenant": "nanoclaw", "kind": "nanoclaw", **startup}
            data = json.dumps(body).encode()
            writer.write(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n".encode())
            writer.write(f"content-length: {len(data)}\r\n\r\n".encode() + data)

    async def guarded(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    socket = paths.tenant_socket("nanoclaw")
    socket.parent.mkdir(parents=True)
    server = await asyncio.start_unix_server(guarded, socket)
    try:
        yield
    finally:
        server.close()


async def start(paths, *arguments: str, key: str = KEY) -> asyncio.subprocess.Process:
    reading, writing = os.pipe()
    os.write(writing, key.encode())
    os.close(writing)
    environment = {
        "PATH": os.environ["PATH"],
        "CLAWGATE_STATE": str(paths.state),
        "CLAWGATE_RUNTIME": str(paths.runtime),
    }
    if key:
        environment["CLAWGATE_TENANT_KEY_FD"] = str(reading)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=environment, pass_fds=(reading,), stdout=pipe, stderr=pipe
    )
    os.close(reading)
    return process


async def finish(process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


async def until(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.02)


async def test_it_runs_without_a_token_answers_the_operator_and_stops_cleanly(tmp_path):
    paths = paths_in(tmp_path)
    async with a_gateway_socket(paths, settings={"ASSISTANT_NAME": "Kim"}):
        process = await start(paths, "run", "--tenant", "nanoclaw")
        await until(paths.control_socket("nanoclaw"))
        code, out, _ = await finish(await start(paths, "status", "--json"))
        status = json.loads(out)
        assert code == 0
        assert status["assistant_name"] == "Kim"
        assert status["channels"][0]["state"] == "off"
        assert paths.pid_file("nanoclaw").read_text() == str(process.pid)

        code, out, _ = await finish(await start(paths, "groups", "register", "--chat", "dc:7", "--folder", "main"))
        assert (code, out) == (0, "registered dc:7 as main\n")
        code, _, err = await finish(await start(paths, "groups", "register", "--chat", "dc:7", "--folder", "other"))
        assert code == 1
        assert "already belongs" in err

        code, _, err = await finish(await start(paths, "run"))
        assert code == 75
        assert str(process.pid) in err
        assert "Traceback" not in err

        process.send_signal(signal.SIGTERM)
        code, _, err = await finish(process)
        assert code == 0
        assert KEY not in err


@pytest.mark.parametrize(
    ("policy", "key", "code", "words"),
    [
        ("[runs]\nmax_concurent = 3\n", KEY, 78, ["nanoclaw.toml:2", "max_concurent", "max_concurrent"]),
        ("", "", 78, ["clawgate up"]),
        ("", "a-wrong-key", 77, ["key"]),
    ],
)
async def test_bad_input_is_one_clear_message_and_an_exit_code_by_class(tmp_path, policy, key, code, words):
    paths = paths_in(tmp_path)
    paths.policies.mkdir(parents=True)
    (paths.policies / "nanoclaw.toml").write_text(policy)
    async with a_gateway_socket(paths):
        found, _, err = await finish(await start(paths, "run", key=key))
    message = err.strip().splitlines()[-1]
    assert found == code, err
    assert message.startswith("nanoclaw: ")
    assert all(word in message for word in words)
    assert "Traceback" not in err


async def test_a_command_without_a_running_process_says_how_to_start_it(tmp_path):
    code, out, err = await finish(await start(paths_in(tmp_path), "groups", "list"))
    assert (code, out) == (69, "")
    assert "clawgate up" in err
