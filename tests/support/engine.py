"""One container engine for a whole test session, with the worker image in it.

Import the fixture where it is needed: ``from tests.support.engine import docker_host``. Without any engine a test is
skipped with a reason; with ``CI=true`` it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.sandbox.engine import PrivateEngineFolders, PrivateEngineUser, can_start_private, find_engine
from gateway.workers.policy import WorkerPolicy
from gateway.workers.spec import ContainerSpec, WorkerFolders, build_spec
from shared.config.process import environment
from shared.gatewayclient.models import WorkerRequest
from tests.support.missing import missing

SESSION = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """Address of an engine that has the worker image."""
    from gateway.workers.image.build import ensure_image

    handle = find_engine(None, environment("DOCKER_HOST"))
    user = PrivateEngineUser(PrivateEngineFolders())
    if handle is None and can_start_private():
        handle = user.acquire()
    if handle is None:
        missing("no Docker engine answers and none can be started (needs root and dockerd)")
    try:
        ensure_image(handle.docker_host)
        yield handle.docker_host
    finally:
        user.release()


def worker_folders(root: Path) -> WorkerFolders:
    """Folders that exist and may be written by the worker's user."""
    folders = WorkerFolders(root / "group", root / "group" / "logs", root / "shared", root / "session", root / "socket")
    for folder in (folders.group, folders.logs, folders.shared, folders.session, folders.socket):
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def shell_spec(
    root: Path, script: str, *, instance: str = "contract", worker_id: str = "0123456789abcdef"
) -> ContainerSpec:
    """A hardened worker that runs a shell script instead of the agent."""
    spec = build_spec(
        WorkerRequest(group="contract", session_id=SESSION),
        WorkerPolicy(memory_mb=256, scratch_mb=16, stop_grace_s=2),
        tenant="nanoclaw",
        worker_id=worker_id,
        instance=instance,
        name_prefix="nanoclaw-test",
        folders=worker_folders(root),
        uid=0,
        gid=0,
    )
    return replace(spec, command=("/bin/sh", "-c", script))
