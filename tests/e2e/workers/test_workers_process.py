"""The sandbox's fallback runs the same command line, without any container."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path

import pytest

from gateway.workers.image.cli_file import cache_folder, local_cli
from gateway.workers.policy import WorkerPolicy
from gateway.workers.pool import WorkerPool
from gateway.workers.process_engine import ProcessEngine
from shared.config.paths import Paths
from shared.config.process import environment
from shared.gatewayclient.models import WorkerRequest
from tests.support.messages_stand_in import StandInEndpoints


async def test_the_agent_answers_as_a_plain_process(tmp_path) -> None:
    if environment("CI") != "true" and not any(cache_folder().glob("cli/*/claude")):
        pytest.skip("the Claude command line is not in the cache: run make setup")
    paths = Paths.resolve(tmp_path / "state", Path(f"/tmp/cgw-{secrets.token_hex(4)}"))
    paths.runtime.mkdir(mode=0o711)
    endpoints = StandInEndpoints(paths)
    engine = ProcessEngine(paths.runtime / "homes", cli=local_cli())
    pool = WorkerPool(engine, WorkerPolicy(), paths, endpoints, instance="t", sandbox=True)
    await pool.start()
    try:
        assert "not contained" in (await engine.info()).detail
        request = WorkerRequest(
            group="main", session_id="11111111-2222-4333-8444-555555555555", model="claude-sonnet-4-5", tools=("Bash",)
        )
        worker = await pool.lease("nanoclaw", request, uid=os.getuid(), gid=os.getgid(), name_prefix="nanoclaw")
        message = {"type": "user", "message": {"role": "user", "content": "run: pwd"}}
        await pool.write("nanoclaw", worker.worker_id, json.dumps(message).encode() + b"\n")
        result = ""
        async for item in pool.stream("nanoclaw", worker.worker_id, 0):
            assert isinstance(item, tuple), item
            if (line := json.loads(item[1]))["type"] == "result":
                result = line["result"]
                break
        assert str(paths.group("nanoclaw", "main").resolve()) in result
    finally:
        await pool.stop(end_workers=True)
        await endpoints.close_all()
        await engine.close()
        shutil.rmtree(paths.runtime)
