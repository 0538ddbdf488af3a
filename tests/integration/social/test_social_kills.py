"""A process that dies at any point leaves what the next one finishes: nothing doubled, nothing lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gateway.social.runner import LEASE
from tests.support.social_bed import post, settle, social_bed
from tests.support.social_kills import Guillotine, Killed, rig
from tests.support.social_seeds import name_of, request, run_seed

SEEDS = 50
NETWORK = {"reel": "instagram", "story": "instagram"}


async def passed_points(folder: Path, kind: str) -> list[str]:
    """All points of an undisturbed carousel or text post."""
    async with social_bed(folder) as bed:
        guillotine = Guillotine()
        social = rig(await bed.service(), guillotine)
        await post(social, request(bed, kind, NETWORK.get(kind, "threads")))
        await settle(social, bed.clock)
        return guillotine.passed


@pytest.mark.parametrize("kind", ["text", "video", "carousel", "reel", "story"])
async def test_death_at_every_point_of_a_post(tmp_path: Path, kind: str) -> None:
    points = await passed_points(tmp_path / "plain", kind)
    network = NETWORK.get(kind, "threads")
    assert {f"before {network}.publish", f"after {network}.publish", "after store.update"} <= set(points)
    if kind not in {"text", "story"}:
        # From there on it is as with a text.
        points = points[: points.index(f"after {network}.create") + 1]
    # One world for all: each death concerns a post of its own.
    async with social_bed(tmp_path / "deaths") as bed:
        social = await bed.service()
        for number in range(1, len(points) + 1):
            text, key = f"post {number}", f"key{number}"
            rigged = rig(await bed.service(), Guillotine(number))
            try:
                await post(rigged, request(bed, kind, network, text, idempotency_key=key))
                await settle(rigged, bed.clock)
            except Killed:
                bed.clock.advance(LEASE.total_seconds() + 1)
            # Whoever asked saw no answer and asks again.
            await post(social, request(bed, kind, network, text, idempotency_key=key))
            await settle(social, bed.clock)
            await bed._open.pop().close()
        live = Counter(name_of(item) for item in bed.meta.posts.posts(network))
        assert live == Counter({f"post {number}": 1 for number in range(1, len(points) + 1)}), points
        assert {job.state for job in await social.store.jobs(limit=500)} == {"published"}


@pytest.mark.parametrize("group_of_seeds", range(5))
async def test_random_faults_and_deaths(tmp_path: Path, group_of_seeds: int) -> None:
    """Zero duplicates, zero lost, every unknown outcome surfaced; ``make torture`` tells 1,000 of these."""
    for seed in range(group_of_seeds, SEEDS, 5):
        await run_seed(tmp_path / str(seed), seed)
