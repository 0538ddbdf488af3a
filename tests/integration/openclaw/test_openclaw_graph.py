"""Real curl to the Graph hosts: it sees the gateway, which reads with the real token and posts like any other post."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from openclaw.agent.commands import Commands
from shared.config.paths import Paths
from shared.containment.egress import EgressProxy
from shared.errors import Denied
from shared.execpolicy.policy import load_exec_policy
from shared.secrets.files import write_private
from shared.social.hosts import GRAPH_HOSTS
from tests.support.posting_house import PostingHouse, posting_house

THREADS, INSTAGRAM = "https://graph.threads.net/v1.0", "https://graph.instagram.com/v25.0"
RULE = {"groups": ["main"], "mode": "auto", "daily_cap": 50}
AUTO = {"tenants": {"openclaw": {"threads": RULE}}}
ASK = {"tenants": {"openclaw": {"threads": {**RULE, "mode": "approval"}}}}

pytestmark = pytest.mark.timeout(120)


@dataclass
class Shell:
    commands: Commands
    there: PostingHouse

    async def curl(self, words: str) -> str:
        request = self.commands.request(f"curl -sS {words}", {}, "", "main")
        decision = self.commands.decide(request)
        assert decision.verdict == "allow", decision.reason
        return await self.commands.run(decision, request, "main", 60.0)

    async def graph(self, words: str) -> Any:
        """The JSON that curl printed; the real token must not be in it."""
        said = await self.curl(words)
        for token in self.there.meta.tokens._grants:
            assert token not in said
        assert "{" in said, said
        return json.loads(said[said.index("{") : said.rindex("}") + 1])

    async def create(self, text: str) -> str:
        made = await self.graph(
            f"-X POST {THREADS}/me/threads -d media_type=TEXT -d 'text={text}' -d access_token=none"
        )
        return made["id"]

    async def publish(self, draft: str) -> Any:
        return await self.graph(f"-X POST '{THREADS}/me/threads_publish?creation_id={draft}&access_token=none'")


@asynccontextmanager
async def shell(paths: Paths, rules: dict[str, Any]) -> AsyncIterator[Shell]:
    async with posting_house(paths, rules) as there:
        client = there.clients["openclaw"]
        file = paths.graph_authority("openclaw")
        write_private(file, (await client.startup()).graph_authority)
        proxy = EgressProxy(doors=dict.fromkeys(GRAPH_HOSTS, client.open_graph))
        async with proxy.serving():
            commands = Commands("openclaw", paths, load_exec_policy(paths), proxy, authority=str(file))
            yield Shell(commands, there)


async def test_reading_passes_with_the_real_token(paths: Paths) -> None:
    async with shell(paths, AUTO) as sh:
        me = await sh.graph(f"'{THREADS}/me?fields=id,username&access_token=held-by-gateway'")
        assert me["username"]
        assert (await sh.graph(f"-H 'Authorization: Bearer x' {THREADS}/me/threads"))["data"] == []
        refused = await sh.graph(f"{INSTAGRAM}/me")
        assert "posting_not_allowed" in refused["error"]["message"]


async def test_a_post_is_made_once_however_often_it_is_published(paths: Paths) -> None:
    async with shell(paths, AUTO) as sh:
        draft = await sh.create("Tides are high")
        assert (await sh.graph(f"'{THREADS}/{draft}?fields=status'"))["status"] == "FINISHED"
        assert sh.there.meta.posts.containers("threads") == []
        first = await sh.publish(draft)
        (live,) = sh.there.meta.posts.posts("threads")
        assert (first["id"], live.text) == (live.media_id, "Tides are high")
        assert await sh.publish(draft) == first
        assert (await sh.graph(f"'{THREADS}/{draft}?fields=status'"))["status"] == "PUBLISHED"
        assert (await sh.graph(f"'{THREADS}/{live.media_id}?fields=permalink'"))["permalink"]
        twin = await sh.publish(await sh.create("Tides are low"))
        assert twin["id"] != first["id"]
        assert len(sh.there.meta.posts.live) == 2


async def test_a_person_is_asked_and_the_same_call_then_gives_the_id(paths: Paths) -> None:
    async with shell(paths, ASK) as sh:
        draft = await sh.create("please")
        waiting = (await sh.publish(draft))["error"]
        assert waiting["is_transient"]
        assert "waits for a person" in waiting["message"]
        assert (await sh.graph(f"'{THREADS}/{draft}?fields=status'"))["status"] == "IN_PROGRESS"
        (job,) = await sh.there.gateway.social.store.jobs()
        await sh.there.gateway.social.approve(job.id, by="owner")
        done = await sh.there.until(job.id, "published")
        assert (await sh.publish(draft))["id"] == done.media_id
        assert len(sh.there.meta.posts.live) == 1


async def test_what_agents_may_not_do_is_refused_in_words(paths: Paths) -> None:
    async with shell(paths, AUTO) as sh:
        for words, said in (
            (f"-X DELETE {THREADS}/123", "not open to agents"),
            (f"'{THREADS}/refresh_access_token?grant_type=th_refresh_token'", "kept by the gateway"),
            ("-X POST https://graph.threads.net/oauth/access_token -d code=x", "kept by the gateway"),
            (f"-X POST {THREADS}/me/threads -d media_type=TEXT -d text=x -d auto_publish_text=true", "create, then"),
            (f"-X POST {THREADS}/me/threads -d media_type=TEXT -d text=x -d is_ghost_post=true", "does not take"),
            (f"-X POST {THREADS}/me/threads_publish -d creation_id=1", "names no container"),
            (f"-X POST {THREADS}/me/threads -d media_type=TEXT -d text={'x' * 501}", "text_too_long"),
            (f"-X POST {THREADS}/1/manage_reply -d hide=true", "not open to agents"),
            (f"-X POST {THREADS}/me/threads -d media_type=IMAGE -d image_url=out/a.jpg", "publish_post"),
            (f"-X POST {THREADS}/me/threads -H 'Content-Type: image/jpeg' -d x=1", "publish_post"),
        ):
            assert said in (await sh.graph(words))["error"]["message"]
        assert sh.there.meta.posts.live == []


async def test_what_is_added_is_shown_and_trusted_for_these_hosts_alone(paths: Paths) -> None:
    async with shell(paths, AUTO) as sh:
        request = sh.commands.request(f"curl {THREADS}/me", {}, "", "main")
        _, argv, _ = sh.commands.identify(sh.commands.decide(request), request)
        assert argv[:4] == ("curl", "-q", "--cacert", str(paths.graph_authority("openclaw")))
        other = sh.commands.request("curl https://example.org/", {}, "", "main")
        assert "--cacert" not in sh.commands.identify(sh.commands.decide(other), other)[1]
        mixed = sh.commands.request(f"curl {THREADS}/me https://example.org/", {}, "", "main")
        with pytest.raises(Denied, match="a command of their own"):
            sh.commands.identify(sh.commands.decide(mixed), mixed)
        for again in ("--next", "-:", "-s: -d x", "--nex"):
            twice = sh.commands.request(f"curl {THREADS}/me {again} {INSTAGRAM}/me", {}, "", "main")
            with pytest.raises(Denied, match="one by one"):
                sh.commands.identify(sh.commands.decide(twice), twice)
        plain = await sh.curl("http://graph.threads.net/v1.0/me")
        assert "https alone" in plain or "403" in plain
