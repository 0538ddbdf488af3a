"""What `nanoclaw workers prune` removes and what it leaves, on an engine of the test's own."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker as docker_api
import pytest

from gateway.sandbox.engine import PrivateEngineFolders, PrivateEngineUser, can_start_private
from gateway.workers.image.build import OUR_IMAGES
from gateway.workers.image.prune import prune
from tests.support.missing import missing

pytestmark = pytest.mark.engine


@pytest.fixture
def engine() -> Iterator[str]:
    if not can_start_private():
        missing("a private engine needs root and dockerd")
    token = secrets.token_hex(4)
    folders = PrivateEngineFolders(Path(f"/var/tmp/cgw-prune-{token}"), Path(f"/run/cgw-prune-{token}"))
    user = PrivateEngineUser(folders)
    user.acquire()
    yield folders.docker_host
    user.release()
    shutil.rmtree(folders.data, ignore_errors=True)
    shutil.rmtree(folders.runtime, ignore_errors=True)


def docker(host: str, *words: str, data: bytes = b"") -> str:
    return subprocess.run(["docker", "-H", host, *words], check=True, capture_output=True, input=data).stdout.decode()


def an_image(host: str, name: str, *, ours: bool = True, size: int = 0) -> str:
    """An image with one file of random content; returns its id."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = size or 16
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    label = OUR_IMAGES.replace("=", '="') + '"' if ours else "other=1"
    return docker(
        host, "import", "-c", f"LABEL {label}", "-c", 'CMD ["/file"]', "-", name, data=archive.getvalue()
    ).strip()


def test_outdated_worker_images_go_and_all_others_stay(engine: str) -> None:
    current = an_image(engine, "clawgate-worker:current")
    docker(engine, "tag", current, "nanoclaw-agent:latest")
    an_image(engine, "clawgate-worker:old", size=3_000_000)
    an_image(engine, "clawgate-worker:moved")
    an_image(engine, "clawgate-worker:moved")  # the one before has no name now
    used = an_image(engine, "clawgate-worker:used")
    docker(engine, "create", "--name", "somebody", used)
    an_image(engine, "clawgate-worker:not-ours", ours=False)
    an_image(engine, "postgres:16", ours=False)
    done = prune(engine, keep="nanoclaw-agent:latest")
    assert set(done.images) == {"clawgate-worker:old", "clawgate-worker:moved"}
    assert done.nameless == 1
    assert 3_000_000 <= done.image_bytes < 4_000_000
    assert done.freed_bytes >= done.image_bytes
    left = docker(engine, "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert set(left) == {
        "clawgate-worker:current",
        "nanoclaw-agent:latest",
        "clawgate-worker:used",
        "clawgate-worker:not-ours",
        "postgres:16",
    }
    assert prune(engine, keep="nanoclaw-agent:latest").freed_bytes == 0


def build(host: str, *, size: int) -> None:
    """Build an image as BuildKit does, which leaves its steps in the engine's cache."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in (("Dockerfile", b"FROM scratch\nCOPY data /data\n"), ("data", os.urandom(size))):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with closing(docker_api.APIClient(base_url=host)) as client:
        # Neither docker-py nor a Docker command without its plugin asks for BuildKit; the engine itself has it.
        answer = client.post(
            f"{client.base_url}/v{client.api_version}/build",
            params={"version": "2", "t": "somebodys:1"},
            data=context.getvalue(),
            headers={"Content-Type": "application/x-tar"},
            timeout=60,
        )
    assert answer.status_code == 200, answer.text
    assert "Successfully tagged somebodys:1" in answer.text


def cache(host: str) -> list[str]:
    """Ids of the steps that the engine keeps."""
    with closing(docker_api.APIClient(base_url=host)) as client:
        return [entry["ID"] for entry in client.df()["BuildCache"] or ()]


def test_a_real_build_cache_is_emptied_and_what_was_built_stays(engine: str) -> None:
    build(engine, size=2_000_000)
    assert cache(engine)
    done = prune(engine, keep="nanoclaw-agent:latest")
    assert done.cache_bytes >= 2_000_000
    assert (done.images, done.freed_bytes) == ((), done.cache_bytes)
    assert cache(engine) == []
    assert docker(engine, "images", "--format", "{{.Repository}}:{{.Tag}}").split() == ["somebodys:1"]
    assert prune(engine, keep="nanoclaw-agent:latest").freed_bytes == 0


def test_without_a_current_image_nothing_with_a_name_is_called_outdated(engine: str) -> None:
    an_image(engine, "clawgate-worker:any")
    assert prune(engine, keep="nanoclaw-agent:latest").images == ()
