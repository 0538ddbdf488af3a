"""The worker image as an operator handles it: build it anew, clear away what is left over."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.workers.engine import Engine
from gateway.workers.policy import WorkerPolicy
from gateway.workers.pool import WorkerPool
from shared.errors import ConfigError


class WorkerImages:
    """Builds and prunes on the engine the workers run on."""

    def __init__(self, engine: Engine, policy: WorkerPolicy, pool: WorkerPool) -> None:
        self._engine = engine
        self._policy = policy
        self._pool = pool

    async def rebuild(self) -> dict[str, Any]:
        """Build the image from our own files; resting workers of the old one end, running ones finish their run."""
        from gateway.workers.image.build import ensure_image

        messages: list[str] = []
        built = await asyncio.to_thread(
            ensure_image, self._address(), progress=messages.append, image=self._policy.image, force=True
        )
        ended = await self._pool.use_image(built.image_id)
        return {
            "image": self._policy.image,
            "id": built.image_id,
            "tag": built.tag,
            "size_bytes": built.size_bytes,
            "ended_workers": ended,
            "log": messages,
        }

    async def prune(self) -> dict[str, Any]:
        """Empty the build cache and remove outdated worker images; says how many bytes that freed."""
        from gateway.workers.image.prune import prune

        done = await asyncio.to_thread(prune, self._address(), keep=self._policy.image)
        return {
            "freed_bytes": done.freed_bytes,
            "cache_bytes": done.cache_bytes,
            "image_bytes": done.image_bytes,
            "images": list(done.images),
            "nameless_images": done.nameless,
        }

    def _address(self) -> str:
        from gateway.workers.docker_engine import DockerEngine

        if not isinstance(self._engine, DockerEngine):
            raise ConfigError("the process engine has no images", code="engine.no_image")
        return self._engine.address
