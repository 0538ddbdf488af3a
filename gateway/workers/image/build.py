"""Building the worker image: ``make setup`` and ``nanoclaw workers rebuild`` come here.

The image's tag is a hash of everything that goes in, kept as a label too, so building again is free until something
changed. The build itself has no network: what it needs is fetched on the host first.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import docker
import requests
from docker import errors as docker_errors

from gateway.workers.docker_engine import engine_down, open_client
from gateway.workers.image.base import base_recipe, ensure_base
from gateway.workers.image.cli_file import Architecture, Progress, architecture, cache_lock, fetch_cli, sdk_version
from shared.config.process import environment
from shared.errors import GatewayError, Internal

DEFAULT_IMAGE = "nanoclaw-agent:latest"
REPOSITORY = "clawgate-worker"
OUR_IMAGES = "org.opencontainers.image.title=Clawgate worker"
"""A label filter that finds every image built here, of any version."""
CONTEXT_LABEL = "clawgate.context"
MANAGED = "managed"
"""Folder of settings and skills, beside the Dockerfile and in the build's context."""
_BUILD_LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that is in the engine.

    Attributes:
        tag: name by content, such as ``clawgate-worker:3f0c…``.
        built: false when it was there already.
        size_bytes: as the engine counts it, with the layers it shares.
    """

    image_id: str
    tag: str
    built: bool
    size_bytes: int


def managed_files() -> dict[str, bytes]:
    """Settings and skills of the image by their path in the build's context, sorted."""
    root = files("gateway.workers.image") / MANAGED
    found: dict[str, bytes] = {}

    def walk(folder: Traversable, path: str) -> None:
        for entry in folder.iterdir():
            inner = f"{path}/{entry.name}"
            if entry.is_dir():
                walk(entry, inner)
            else:
                found[inner] = entry.read_bytes()

    walk(root, MANAGED)
    return dict(sorted(found.items()))


def content_hash(dockerfile: str, arch: Architecture, managed: Mapping[str, bytes]) -> str:
    """What the image is made of, as a tag: the same for the same inputs, whoever builds it and when."""
    facts = hashlib.sha256("\0".join((dockerfile, sdk_version(), arch, base_recipe())).encode())
    for path, data in sorted(managed.items()):
        facts.update(f"\0{path}\0{hashlib.sha256(data).hexdigest()}".encode())
    return facts.hexdigest()[:12]


def ensure_image(
    docker_host: str,
    *,
    progress: Progress = lambda _: None,
    image: str = DEFAULT_IMAGE,
    force: bool = False,
) -> BuiltImage:
    """Have the worker image in an engine under its two names, building what is missing. Blocks.

    Args:
        docker_host: the engine's address.
        progress: told each step as one line.
        image: the name that the policy uses.
        force: build again although nothing changed.

    Raises:
        Unavailable: the engine is down, or a download failed.
        Internal: the build itself failed; the message ends with its last lines.
    """
    try:
        client = open_client(docker_host, limit_s=_BUILD_LIMIT_S)
    except (docker_errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise engine_down(docker_host, error) from None
    try:
        return _ensure(client, progress, image, force=force)
    except requests.exceptions.RequestException as error:
        raise engine_down(docker_host, error) from None
    except docker_errors.APIError as error:
        raise Internal(
            f"the Docker engine at {docker_host} refused to build the worker image: {error.explanation or error}",
            code="image.refused",
        ) from None
    finally:
        client.close()


def _ensure(client: docker.APIClient, progress: Progress, image: str, *, force: bool) -> BuiltImage:
    arch = architecture(str(client.version()["Arch"]))
    dockerfile = (files("gateway.workers.image") / "Dockerfile").read_text(encoding="utf-8")
    managed = managed_files()
    digest = content_hash(dockerfile, arch, managed)
    tag = f"{REPOSITORY}:{digest}"
    if not force and (found := _image_id(client, tag)):
        _name(client, found, image)
        return _built(client, found, tag, built=False)
    with cache_lock() as cache:
        if not force and (found := _image_id(client, tag)):  # another process was faster
            _name(client, found, image)
            return _built(client, found, tag, built=False)
        cli = fetch_cli(cache, arch, progress)
        base = ensure_base(client, progress)
        progress(f"building {tag} on {base}")
        context = {"Dockerfile": dockerfile.encode(), **managed}
        _build(client, context, cli, base, tag, digest, no_cache=force)
    built = _image_id(client, tag)
    if built is None:
        raise Internal(f"the build of {tag} ended without an image", code="image.build_failed")
    _name(client, built, image)
    remove_nameless(client)
    result = _built(client, built, tag, built=True)
    progress(f"built {tag}, also named {image}, {result.size_bytes / 1e6:.0f} MB")
    return result


def _built(client: docker.APIClient, image_id: str, tag: str, *, built: bool) -> BuiltImage:
    size = int(client.inspect_image(image_id).get("Size") or 0)  # type: ignore[no-untyped-call]
    return BuiltImage(image_id, tag, built=built, size_bytes=size)


def _image_id(client: docker.APIClient, name: str) -> str | None:
    try:
        return str(client.inspect_image(name)["Id"])  # type: ignore[no-untyped-call]
    except docker_errors.ImageNotFound:
        return None


def _name(client: docker.APIClient, image_id: str, image: str) -> None:
    repository, _, tag = image.partition(":")
    client.tag(image_id, repository, tag or "latest", force=True)


def remove_nameless(client: docker.APIClient) -> int:
    """Remove earlier builds that no name leads to any more; one that a container uses stays. Returns how many went."""
    removed = 0
    for row in client.images(filters={"label": OUR_IMAGES, "dangling": True}, all=False):
        with suppress(docker_errors.APIError):
            client.remove_image(row["Id"])
            removed += 1
    return removed


def _build(
    client: docker.APIClient,
    context_files: Mapping[str, bytes],
    cli: Path,
    base: str,
    tag: str,
    digest: str,
    *,
    no_cache: bool,
) -> None:
    with tempfile.TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            for path, data in context_files.items():
                _add(archive, path, data)
            archive.add(cli, "claude", recursive=False, filter=_plain)
        context.seek(0)
        said: list[str] = []
        steps: Any = client.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            buildargs={"BASE": base},
            labels={CONTEXT_LABEL: digest},
            network_mode="none",
            pull=False,
            nocache=no_cache,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for step in steps:
            said += [str(step[key]).rstrip() for key in ("stream", "error") if str(step.get(key, "")).strip()]
            if "error" in step:
                last = "\n".join(said[-8:])
                raise Internal(f"the worker image could not be built:\n{last}", code="image.build_failed")


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o644
    archive.addfile(entry, io.BytesIO(data))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same file whoever downloaded it and when, so that the builder's cache knows it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755
    return entry


def main(argv: list[str] | None = None, *, say: Callable[[str], object] | None = None) -> int:
    """Entry of ``python -m gateway.workers.image.build``; progress goes to stderr, the tag to stdout."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.workers.image.build", description="Build the worker image."
    )
    parser.add_argument("--docker-host", default=environment("DOCKER_HOST") or "unix:///var/run/docker.sock")
    parser.add_argument("--image", default=DEFAULT_IMAGE, help="name to give it besides the one by content")
    parser.add_argument("--force", action="store_true", help="build again although nothing changed")
    options = parser.parse_args(argv)
    try:
        built = ensure_image(
            options.docker_host,
            progress=say or (lambda text: sys.stderr.write(f"worker image: {text}\n")),
            image=options.image,
            force=options.force,
        )
    except GatewayError as error:
        sys.stderr.write(f"{error.detail}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{built.tag}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
