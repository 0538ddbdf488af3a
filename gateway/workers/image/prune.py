"""Clearing build leftovers out of an engine: what ``docker builder prune -af`` does, and worker images nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import docker
import requests
from docker import errors as docker_errors

from gateway.workers.docker_engine import engine_down, open_client
from gateway.workers.image.build import OUR_IMAGES, REPOSITORY, remove_nameless
from shared.errors import Internal

_LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went.

    Attributes:
        images: names of worker images; those without any name are counted in `nameless`.
        cache_bytes: freed from the build cache.
        image_bytes: freed from image layers.
    """

    images: tuple[str, ...]
    nameless: int
    cache_bytes: int
    image_bytes: int

    @property
    def freed_bytes(self) -> int:
        """All of it."""
        return self.cache_bytes + self.image_bytes


def prune(docker_host: str, *, keep: str) -> Pruned:
    """Empty the build cache and remove worker images of ours that are neither current nor used. Blocks.

    Args:
        docker_host: the engine's address.
        keep: the image name that workers are started from.

    Raises:
        Unavailable: the engine is down.
        Internal: it refused.
    """
    try:
        client = open_client(docker_host, limit_s=_LIMIT_S)
    except (docker_errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise engine_down(docker_host, error) from None
    try:
        return _prune(client, keep)
    except requests.exceptions.RequestException as error:
        raise engine_down(docker_host, error) from None
    except docker_errors.APIError as error:
        raise Internal(
            f"the Docker engine at {docker_host} refused to prune: {error.explanation or error}", code="image.refused"
        ) from None
    finally:
        client.close()


def _prune(client: docker.APIClient, keep: str) -> Pruned:
    before = _layer_bytes(client)
    removed = tuple(_remove_outdated(client, keep))
    nameless = remove_nameless(client)
    image_bytes = max(0, before - _layer_bytes(client))
    cache_bytes = int(client.prune_builds(all=True).get("SpaceReclaimed") or 0)
    return Pruned(removed, nameless, cache_bytes, image_bytes)


def _layer_bytes(client: docker.APIClient) -> int:
    return int(client.df().get("LayersSize") or 0)


def _remove_outdated(client: docker.APIClient, keep: str) -> Iterator[str]:
    try:
        current = str(client.inspect_image(keep)["Id"])  # type: ignore[no-untyped-call]
    except docker_errors.ImageNotFound:
        return  # nothing is known to be current: nothing is known to be outdated
    used = {row["ImageID"] for row in client.containers(all=True)}
    for row in client.images(filters={"label": OUR_IMAGES}, all=False):
        if row["Id"] in used or row["Id"] == current:
            continue
        for name in row.get("RepoTags") or ():
            if name.startswith(f"{REPOSITORY}:"):
                client.remove_image(name)
                yield name
