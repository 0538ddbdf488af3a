"""A worker pool on the real engine, with the real command line and a stand-in for the model."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.workers.docker_engine import DockerEngine
from gateway.workers.launch import Launcher
from gateway.workers.mounts import Allowlist, MountsPolicy
from gateway.workers.policy import WorkerPolicy
from gateway.workers.pool import WorkerPool
from gateway.workers.spec import Mount
from shared.config.paths import Paths
from shared.gatewayclient.models import WorkerEvent, WorkerInfo, WorkerRequest
from tests.support.messages_stand_in import StandInEndpoints

POLICY = WorkerPolicy(memory_mb=1024, stop_grace_s=5)


def user_line(text: str) -> bytes:
    return json.dumps({"type": "user", "message": {"role": "user", "content": text}}).encode() + b"\n"


class House:
    """A pool that can be dropped and made again on the same state."""

    def __init__(
        self,
        root: Path,
        docker_host: str,
        policy: WorkerPolicy,
        *,
        mounts: MountsPolicy = MountsPolicy(),  # noqa: B008 - frozen
        development: tuple[Mount, ...] = (),
    ) -> None:
        self.paths = Paths.resolve(root / "state", Path(f"/tmp/cgw-{secrets.token_hex(4)}"))
        self.paths.runtime.mkdir(mode=0o711)
        self.docker_host = docker_host
        self.policy = policy
        self.instance = f"test-{secrets.token_hex(4)}"
        self.endpoints = StandInEndpoints(self.paths)
        self.mounts = mounts
        self.development = development
        self.seen: dict[str, int] = {}

    async def open(self) -> None:
        self.engine = DockerEngine(self.docker_host)
        protected = (self.paths.state, self.paths.runtime, self.docker_host.removeprefix("unix://"))
        launcher = Launcher(
            self.policy,
            self.paths,
            instance=self.instance,
            allowlist=Allowlist.resolve(self.mounts, protected=protected),
            development=self.development,
        )
        self.pool = WorkerPool(
            self.engine, self.policy, self.paths, self.endpoints, instance=self.instance, launcher=launcher
        )
        await self.pool.start()

    async def drop(self, *, end_workers: bool = False) -> None:
        await self.pool.stop(end_workers=end_workers)
        await self.endpoints.close_all()
        await self.engine.close()

    async def lease(self, group: str, *, session: str = "", user: int | None = None, **more: Any) -> WorkerInfo:
        request = WorkerRequest.model_validate(
            {
                "group": group,
                "session_id": session or str(uuid.uuid5(uuid.NAMESPACE_DNS, group)),
                "model": "claude-sonnet-4-5",
                "tools": ("Bash", "Read", "Write", "Skill"),
                **more,
            }
        )
        uid, gid = (os.getuid(), os.getgid()) if user is None else (user, user)
        return await self.pool.lease("nanoclaw", request, uid=uid, gid=gid, name_prefix="nanoclaw")

    async def say(self, worker: WorkerInfo, text: str) -> None:
        await self.pool.write("nanoclaw", worker.worker_id, user_line(text))

    async def result(self, worker: WorkerInfo) -> str:
        """The next result; every line number is seen exactly once."""
        return str((await self.message(worker, "result"))["result"])

    async def message(self, worker: WorkerInfo, kind: str) -> dict[str, Any]:
        """The next message of a type."""
        async for item in self.pool.stream("nanoclaw", worker.worker_id, self.seen.get(worker.worker_id, 0)):
            if isinstance(item, WorkerEvent):
                assert item.event != "exit", f"the worker ended: {item}"
                continue
            number, line = item
            assert number == self.seen.get(worker.worker_id, 0) + 1
            self.seen[worker.worker_id] = number
            message: dict[str, Any] = json.loads(line)
            if message["type"] == kind:
                return message
        raise AssertionError(f"no {kind}")

    async def initialise(self, worker: WorkerInfo) -> None:
        """What the SDK says first; the command line is ready when it has answered."""
        hello = {"type": "control_request", "request_id": "1", "request": {"subtype": "initialize"}}
        await self.pool.write("nanoclaw", worker.worker_id, json.dumps(hello).encode() + b"\n")
        await self.message(worker, "control_response")

    async def ask(self, worker: WorkerInfo, text: str) -> str:
        await self.say(worker, text)
        return await self.result(worker)

    async def the_end(self, worker: WorkerInfo) -> WorkerEvent:
        async for item in self.pool.stream("nanoclaw", worker.worker_id, 0):
            if isinstance(item, WorkerEvent) and item.event == "exit":
                return item
        raise AssertionError("no exit")

    def docker(self, *words: str) -> str:
        done = subprocess.run(["docker", "-H", self.docker_host, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()


@asynccontextmanager
async def a_house(root: Path, docker_host: str, policy: WorkerPolicy = POLICY, **more: Any) -> AsyncIterator[House]:
    """Entered in the test's body; leaves no container behind."""
    house = House(root, docker_host, policy, **more)
    await house.open()
    try:
        yield house
    finally:
        await house.drop(end_workers=True)
        shutil.rmtree(house.paths.runtime)
