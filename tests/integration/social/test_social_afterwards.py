"""After a post is online: its figures once a day, and how it is embedded."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.social.embedding import app_tokens
from gateway.social.graph.authority import AuthorityKeeper
from gateway.social.graph.store import DraftStore
from gateway.social.hosting.links import read_link
from gateway.social.upkeep import Upkeep
from openclaw.graph_authority import authority_kept_current, put_authority
from shared.errors import Invalid
from shared.gatewayclient.models import TenantStartup
from shared.http.client import HttpPool, http_client
from shared.social.oembed import embed, network_of
from shared.social.problems import SocialError
from tests.support.social_bed import jpeg, mp4, only, post, settle, social_bed, wish


async def test_figures_are_read_once_a_day_and_a_failure_waits_for_the_next(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        keeper = AuthorityKeeper(tmp_path / "graph.json", bed.clock.now())
        upkeep = Upkeep(social, DraftStore(bed._open[-1]), keeper)
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


async def test_keys_and_certificate_are_renewed_while_running_and_nothing_breaks(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        keeper = AuthorityKeeper(tmp_path / "graph.json", bed.clock.now())
        upkeep = Upkeep(social, DraftStore(bed._open[-1]), keeper)
        first, keys = keeper.current, social.host._keys
        ends = bed.clock.now() + timedelta(hours=2)
        link = read_link(keys.path("post_1", f"med_{'a' * 26}", "0" * 64, "jpg", ends))
        assert link is not None
        assert await upkeep.renew() == "the Graph hosts' certificate ends in 365 days"
        bed.clock.advance(31 * 86400)
        await upkeep.renew()
        # The key before the present one still counts, and no longer than that.
        assert keys.is_right(link, "0" * 64)
        bed.clock.advance(31 * 86400)
        await upkeep.renew()
        assert not keys.is_right(link, "0" * 64)

        bed.clock.advance((337 - 62) * 86400)
        assert await upkeep.renew() == "renewed, the Graph hosts' certificate ends in 28 days"
        both = keeper.current
        assert both.certificate.startswith(first.certificate)
        assert both.certificate.count("BEGIN CERTIFICATE") == 2
        # Another start in between changes nothing.
        assert AuthorityKeeper(tmp_path / "graph.json", bed.clock.now()).current.certificate == both.certificate
        bed.clock.advance(14 * 86400)
        await upkeep.renew()
        assert keeper.current.certificate == both.certificate.removeprefix(first.certificate)
        assert keeper.current.ends > first.ends
        bed.clock.advance(400 * 86400)
        assert "ends in 365 days" in await upkeep.renew()


async def test_a_tenant_takes_the_new_certificate_into_its_file(tmp_path: Path) -> None:
    class Gateway:
        certificate = "one"

        async def startup(self) -> TenantStartup:
            return TenantStartup(tenant="openclaw", kind="openclaw", graph_authority=self.certificate)

    gateway, path = Gateway(), tmp_path / "authority.pem"
    put_authority(path, "one")
    async with authority_kept_current(gateway, path, "one", every_s=0.01), asyncio.timeout(10):
        gateway.certificate = "two"
        while path.read_text() != "two":
            await asyncio.sleep(0.01)


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
        tokens = app_tokens({"THREADS_APP_ID": "1", "THREADS_APP_SECRET": "s", "META_APP_ID": "2"}, "nanoclaw")
        assert list(tokens) == ["threads"]
        assert (await embed(http, url, bases=bases, app_tokens=tokens))["width"] == 658


def test_a_tenant_asks_with_its_own_apps_and_never_with_anothers() -> None:
    names = ("THREADS_APP_ID", "THREADS_APP_SECRET", "META_APP_ID", "META_APP_SECRET")
    plain = dict(zip(names, ("1", "one", "2", "two"), strict=True))
    theirs = {f"OPENCLAW_{name}": f"oc{value}" for name, value in plain.items()}

    def told(env: dict[str, str], tenant: str) -> dict[str, str]:
        return {network: token.reveal() for network, token in app_tokens(env, tenant).items()}

    nanoclaw = {"threads": "TH|1|one", "instagram": "2|two"}
    assert told(plain | theirs, "nanoclaw") == nanoclaw
    assert told(plain | theirs, "openclaw") == {"threads": "TH|oc1|ocone", "instagram": "oc2|octwo"}
    assert told(plain, "openclaw") == {}
    assert told(theirs, "nanoclaw") == {}


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
