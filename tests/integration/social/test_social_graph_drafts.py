"""Containers that an agent's curl makes keep everything the networks take, and nothing is posted before publishing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.social.graph.models import GraphCall
from gateway.social.graph.service import GraphService
from gateway.social.graph.store import DraftStore
from shared.gatewayclient.models import PostRequest
from shared.secrets.files import Secret
from shared.social.models import Network
from tests.support.social_bed import EVERYTHING, Bed, jpeg, mp4, settle, social_bed

ANA = [{"username": "ana", "x": 0.5, "y": 0.2}]


class NoReader:
    async def read(self, network: Network, path: str, token: Secret) -> tuple[int, bytes]:
        raise AssertionError(f"{network} {path} {token} is not read here")


class Curl:
    """What the door hands over, without the door."""

    def __init__(self, bed: Bed, service: GraphService) -> None:
        self._bed = bed
        self._service = service

    async def __call__(self, path: str, **fields: str) -> dict[str, Any]:
        call = GraphCall("nanoclaw", "instagram", "POST", f"/v25.0/me/{path}", fields)
        answer: dict[str, Any] = json.loads((await self._service.answer(call)).body)
        return answer


async def test_reels_tags_and_carousels_come_through(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(EVERYTHING)
        service = GraphService(social, DraftStore(bed._open[-1]), NoReader(), bed.clock)
        curl = Curl(bed, service)
        film, cover = bed.pictures.put("a.mp4", mp4(), "video/mp4"), bed.pictures.put("c.jpg", jpeg(640, 1136))
        picture = bed.pictures.put("a.jpg", jpeg())
        reel = await curl(
            "media", media_type="REELS", video_url=film, caption="film", cover_url=cover, share_to_feed="false"
        )
        tags = json.dumps(ANA)
        items = [
            (await curl("media", is_carousel_item="true", image_url=picture, alt_text=f"no {n}", user_tags=tags))["id"]
            for n in (1, 2)
        ]
        several = await curl("media", media_type="CAROUSEL", children=",".join(items), caption="two")
        assert bed.meta.posts.containers("instagram") == []
        for draft in (reel, several):
            # What the answer says while it waits is not looked at here: the clock of this world stands still.
            found = await service._drafts.get("nanoclaw", draft["id"])
            assert found is not None
            content = await service._content(found)
            await social.submit("nanoclaw", "agent", PostRequest(content=content, group="main"))
        await settle(social, bed.clock)
        assert bed.live("instagram") == 2
        sent = [entry.body for entry in bed.meta.of("instagram", "create")]
        assert [json.loads(form["user_tags"]) for form in sent if "user_tags" in form] == [ANA, ANA]
        assert [form["alt_text"] for form in sent if "alt_text" in form] == ["no 1", "no 2"]
        (made,) = [form for form in sent if form.get("media_type") == "REELS"]
        assert (made["cover_url"], made["share_to_feed"]) == (cover, "false")


async def test_wrong_fields_are_refused_in_words(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(EVERYTHING)
        curl = Curl(bed, GraphService(social, DraftStore(bed._open[-1]), NoReader(), bed.clock))
        picture = bed.pictures.put("a.jpg", jpeg())
        for fields, words in (
            ({"image_url": picture, "user_tags": "ana"}, "a JSON list"),
            ({"image_url": picture, "user_tags": '[{"name": "ana"}]'}, "username"),
            ({"image_url": picture, "thumb_offset": "soon"}, "thumb_offset_ms"),
            ({"image_url": picture, "share_to_feed": "true"}, "only a reel"),
            ({"image_url": "out/a.jpg"}, "publish_post"),
            ({"caption": "no picture"}, "publish_post"),
        ):
            assert words in (await curl("media", **fields))["error"]["message"], fields
        assert bed.meta.posts.containers("instagram") == []
        assert await social.store.jobs() == []
