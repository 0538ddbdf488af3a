"""Building the worker image: ``make setup`` and ``nanoclaw workers rebuild`` come here.

The image's tag is a hash of everything that goes in, so building again is free until something changed. The build
itself has no network: what it needs is fetched on the host first.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
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
_REPOSITORY = "clawgate-worker"
_LABEL = "org.opencontainers.image.title=Clawgate worker"
_BUILD_LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that is in the engine.

    Attributes:
        tag: name by content, such as ``clawgate-worker:3f0c…``.
        built: false when it was there already.
    """

    image_id: str
    tag: str
    built: bool


def content_hash(dockerfile: str, arch: Architecture) -> str:
    """What the image is made of, as a tag."""
    return hashlib.sha256("\0".join((dockerfile, sdk_version(), arch, base_recipe())).encode()).hexdigest()[:12]


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
    digest = content_hash(dockerfile, arch)
    tag = f"{_REPOSITORY}:{digest}"
    if not force and (found := _image_id(client, tag)):
        _name(client, found, image)
        return BuiltImage(found, tag, built=False)
    with cache_lock() as cache:
        if not force and (found := _image_id(client, tag)):  # another process was faster
            _name(client, found, image)
            return BuiltImage(found, tag, built=False)
        cli = fetch_cli(cache, arch, progress)
        base = ensure_base(client, progress)
        progress(f"building {tag} on {base}")
        _build(client, dockerfile, cli, base, tag, no_cache=force)
    built = _image_id(client, tag)
    if built is None:
        raise Internal(f"the build of {tag} ended without an image", code="image.build_failed")
    _name(client, built, image)
    _tidy(client, keep=tag)
    progress(f"built {tag}, also named {image}")
    return BuiltImage(built, tag, built=True)


def _image_id(client: docker.APIClient, name: str) -> str | None:
    try:
        return str(client.inspect_image(name)["Id"])  # type: ignore[no-untyped-call]
    except docker_errors.ImageNotFound:
        return None


def _name(client: docker.APIClient, image_id: str, image: str) -> None:
    repository, _, tag = image.partition(":")
    client.tag(image_id, repository, tag or "latest", force=True)


def _tidy(client: docker.APIClient, *, keep: str) -> None:
    """Remove earlier builds; one that a worker still uses is refused by the engine and goes next time."""
    for row in client.images(filters={"label": _LABEL}, all=False):
        for name in row.get("RepoTags") or [row["Id"]]:
            ours = name == "<none>:<none>" or name.startswith((f"{_REPOSITORY}:", "sha256:"))
            if ours and name != keep:
                with suppress(docker_errors.APIError):
                    client.remove_image(row["Id"] if name == "<none>:<none>" else name)


def _build(client: docker.APIClient, dockerfile: str, cli: Path, base: str, tag: str, *, no_cache: bool) -> None:
    with tempfile.TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            _add(archive, "Dockerfile", dockerfile.encode())
            archive.add(cli, "claude", recursive=False, filter=_plain)
        context.seek(0)
        said: list[str] = []
        steps: Any = client.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            buildargs={"BASE": base},
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
