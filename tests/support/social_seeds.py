"""Posts under random faults, lags and deaths: one seed is one story, always the same."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.sandbox.meta.posts import Post
from gateway.social.models import DROPPED
from gateway.social.runner import LEASE
from shared.errors import GatewayError
from shared.gatewayclient.models import PostRequest
from tests.support.social_bed import Bed, jpeg, mp4, post, settle, social_bed, wish
from tests.support.social_kills import Guillotine, Killed, rig


def request(bed: Bed, kind: str, network: str, text: str = "the one", **more: Any) -> PostRequest:
    """A wish for a post of a kind, with its pictures or video online."""
    if kind in {"video", "reel", "story"}:
        film = bed.pictures.put("0.mp4", mp4(), "video/mp4")
        if kind == "story":
            # A story has no words: which one it is, its film tells.
            film = bed.pictures.put(f"{text}.mp4".replace(" ", "-"), film_of(text), "video/mp4")
        return wish("" if kind == "story" else text, network=network, media=(film,), story=kind == "story", **more)
    count = {"text": 0, "image": 1, "carousel": 2}[kind]
    media = [bed.pictures.put(f"{n}.jpg", jpeg()) for n in range(count)]
    if kind == "carousel":
        media.append(bed.pictures.put("2.mp4", mp4(), "video/mp4"))
    return wish(text, network=network, media=tuple(media), **more)


def film_of(text: str) -> bytes:
    """Another one for every text, the same in every process."""
    number = zlib.crc32(text.encode())
    return mp4(10 + 0.1 * (number % 400), width=500 + number // 400 % 1000)


def name_of(live: Post) -> str:
    """Which of the accepted posts this is."""
    return live.text or live.urls[0].rpartition("/")[2].removesuffix(".mp4").replace("-", " ")


def random_fault(draw: random.Random, *, may_lie: bool) -> dict[str, Any]:
    kind = draw.choice(["reset", "edge_page", "status", "status", "malformed"])
    fault: dict[str, Any] = {
        "op": draw.choice(["create", "publish", "publish", "status", "list", "quota", "media"]),
        "kind": kind,
    }
    fault["upstream"] = draw.choice(["threads", "instagram"])
    fault["nth"] = draw.choice([1, 2, 3, (1, 2), (2, 4)])
    fault["applied"] = draw.random() < 0.5
    if kind == "edge_page":
        fault["status"] = draw.choice([403, 502])
    if kind == "status":
        codes = [(1, 0), (2, 0), (4, 2207051), (77777, 0), (-1, 2207001)]
        # A refusal that is described as definite and comes after the effect is a lie; one view must then be current.
        codes += [(24, 4279009)] if may_lie else []
        if not fault["applied"]:
            codes += [(24, 4279009), (9007, 2207027), (4, 0), (190, 463), (9, 2207042), (10, 0)]
        code, subcode = draw.choice(codes)
        fault |= {"status": draw.choice([400, 400, 500]), "body": {"error": {"code": code, "error_subcode": subcode}}}
    return fault


async def run_seed(folder: Path, seed: int) -> Counter[str]:
    """Zero duplicates, zero lost, every unknown outcome surfaced; gives how many jobs ended in which state."""
    draw = random.Random(seed)
    async with social_bed(folder) as bed:
        is_lagging = draw.random() < 0.4
        if is_lagging:
            bed.meta.posts.behaviour.status_lag = draw.randrange(4)
            bed.meta.posts.behaviour.list_lag = draw.randrange(4)
        bed.meta.posts.behaviour.processing_reads = draw.choice([0, 0, 2])
        for _ in range(draw.randrange(1, 6)):
            bed.fault(**random_fault(draw, may_lie=not is_lagging))
        social = await bed.service()
        accepted: dict[str, str] = {}
        for number in range(3):
            network = draw.choice(["threads", "threads", "instagram"])
            kind = draw.choice(
                ["text", "image", "video", "carousel"]
                if network == "threads"
                else ["image", "video", "carousel", "story", "story"]
            )
            try:
                info = await post(social, request(bed, kind, network, f"text {number}"))
            except GatewayError:
                continue
            accepted[info.id] = f"text {number}"
        for _ in range(draw.randrange(4)):
            rigged = rig(await bed.service(), Guillotine(draw.randrange(1, 60)))
            try:
                await settle(rigged, bed.clock)
            except Killed:
                bed.clock.advance(LEASE.total_seconds() + 1)
        social = await bed.service()
        bed.clock.advance(LEASE.total_seconds() + 1)
        await settle(social, bed.clock)

        live = Counter(name_of(item) for item in bed.meta.posts.live)
        jobs = {job.id: job for job in await social.store.jobs()}
        assert set(jobs) == set(accepted), seed
        for job in jobs.values():
            online = live[accepted[job.id]]
            where = (seed, job.state, job.error_code, job.detail)
            if job.state == "published":
                assert online == 1, where
            elif job.state in DROPPED:
                assert online == 0, where
                assert job.error_code, where
            else:
                assert (job.state, job.error_code) == ("needs_attention", "publish_outcome_unknown"), where
                assert online <= 1, where
        return Counter(job.state for job in jobs.values())
