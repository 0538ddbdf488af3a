"""After a post is online: its figures once a day, and how it is embedded."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.social.embedding import app_tokens
from gateway.social.graph.store import DraftStore
from gateway.social.upkeep import Upkeep
from shared.errors import Invalid
from shared.http.client import HttpPool, http_client
from shared.social.oembed import embed, network_of
from shared.social.problems import SocialError
from tests.support.social_bed import jpeg, mp4, only, post, settle, social_bed, wish


async def test_figures_are_read_once_a_day_and_a_failure_waits_for_the_next(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        upkeep = Upkeep(social, DraftStore(bed._open[-1]))
        await post(social, wish("measured"))
        await settle(social, bed.clock)
        bed.fault("insights", kind="reset")
        assert await upkeep.measure() == "0 posts read, 1 could not be"
        assert await upkeep.measure() == "1 posts read"
        assert await upkeep.measure() == "0 posts read"
        found = await social.store.figures((await only(social)).id)
        assert found is not None
        assert found[1]["views"] == 0
        bed.clock.advance(24 * 3600)
        assert await upkeep.measure() == "1 posts read"
        bed.clock.advance(40 * 24 * 3600)
        assert await upkeep.measure() == "0 posts read"
        assert await upkeep.tidy() == "0 files and 0 drafts removed"


async def test_embedding_with_and_without_an_apps_token(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed, HttpPool() as http:
        social = await bed.service()
        await post(social, wish("embedded <b>"))
        await settle(social, bed.clock)
        (live,) = bed.meta.posts.live
        url = f"https://www.threads.com/@me/post/{live.media_id}"
        bases = {"threads": bed.meta.base("threads") + "/v1.0/oembed", "instagram": "http://127.0.0.1:9/"}
        assert "embedded &lt;b&gt;" in (await embed(http, url, bases=bases, app_tokens={}))["html"]
        bed.meta.posts.behaviour.embed_token = True
        with pytest.raises(SocialError, match="permission"):
            await embed(http, url, bases=bases, app_tokens={})
        tokens = app_tokens({"THREADS_APP_ID": "1", "THREADS_APP_SECRET": "s", "META_APP_ID": "2"})
        assert list(tokens) == ["threads"]
        assert (await embed(http, url, bases=bases, app_tokens=tokens))["width"] == 658


@pytest.mark.parametrize(
    "url",
    [
        "http://www.threads.com/@me/post/1",
        "https://example.org/@me/post/1",
        "https://www.threads.com.example.org/@me/post/1",
        "https://www.threads.com/@me",
        "https://www.instagram.com/p/",
        "x",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(Invalid, match="no address of a public post"):
        network_of(url)


def test_both_networks_addresses_are_known() -> None:
    assert network_of("https://www.threads.net/t/ABC") == "threads"
    assert network_of("https://www.instagram.com/reel/ABC/") == "instagram"


async def test_the_published_feed_shows_texts_and_the_fetched_copies(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed, http_client(timeout_s=5) as http:
        social = await bed.service()
        assert "Nothing is online yet" in (await http.get(bed.meta.feed_url)).text
        image, video = bed.pictures.put("a.jpg", jpeg()), bed.pictures.put("v.mp4", mp4(), "video/mp4")
        await post(social, wish("<script>alert(1)</script>", media=(image, video)))
        await settle(social, bed.clock)
        page = (await http.get(bed.meta.feed_url)).text
        assert "&lt;script&gt;alert(1)" in page
        assert "carousel" in page
        assert '<img src="data:image/jpeg;base64,' in page
        assert '<video src="data:video/mp4;base64,' in page
