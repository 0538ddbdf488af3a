"""`publish_post` and `post_status` as an agent calls them, through the tool server to a real posting service."""

from __future__ import annotations

from pathlib import Path

from gateway.social.service import Social
from gateway.social.views import info_of
from nanoclaw.agent.tools.base import Place
from nanoclaw.agent.tools.posts import PostTools
from nanoclaw.agent.tools.server import ToolServer
from nanoclaw.groups import Group
from shared.errors import Invalid
from shared.gatewayclient.models import PostEmbed, PostInfo, PostRequest
from tests.support.social_bed import OPEN, jpeg, settle, social_bed

FOLDER = Path("/nonexistent")
GROUPS = {folder: Group(folder, f"dc:{folder}", folder) for folder in ("main", "lab")}
ASK = {"tenants": {"nanoclaw": {"threads": {**OPEN, "mode": "approval"}, "instagram": OPEN}}}


class Direct:
    """What the tenant socket does, without the socket."""

    def __init__(self, social: Social) -> None:
        self._social = social

    async def publish_post(self, request: PostRequest) -> PostInfo:
        return await self._social.submit("nanoclaw", "agent", request)

    async def embed_post(self, url: str) -> PostEmbed:
        raise Invalid(f"{url!r} is no address of a public post")

    async def posts(self, group: str) -> list[PostInfo]:
        return [info_of(job) for job in await self._social.store.jobs(tenant="nanoclaw", group=group)]

    async def post(self, post_id: str, group: str) -> PostInfo:
        return info_of((await self._social.find(post_id, tenant="nanoclaw", group=group))[0])


class Agent:
    """A run of a group's agent; a repeated run begins to count anew."""

    def __init__(self, social: Social, run_id: str, folder: str = "main") -> None:
        self._calls = 0
        self._run_id = run_id
        self._folder = folder
        tools = PostTools(Direct(social), social.policy.groups_of("nanoclaw"), lambda _group: FOLDER)
        self.server = ToolServer([tools], place_of=self._place, group_of=GROUPS.get)

    def _place(self, group: Group, tool: str) -> Place:
        self._calls += 1
        return Place(self._run_id, f"{self._run_id}.{tool}{self._calls}", group.chat)

    async def __call__(self, name: str, **arguments) -> tuple[str, bool]:
        answer = await self.server.call(self._folder, name, arguments)
        return answer["content"][0]["text"], answer["is_error"]


async def test_only_groups_that_policy_lets_post_hear_of_the_tools(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        agent = Agent(await bed.service(ASK), "run1")
        names = {folder: [tool.name for tool in agent.server.offered(group)] for folder, group in GROUPS.items()}
        assert names == {"main": ["publish_post", "post_status", "embed_post"], "lab": []}
        text, is_error = await Agent(await bed.service(ASK), "run1", "lab")("publish_post", network="threads", text="x")
        assert is_error
        assert "not available to this group" in text


async def test_a_repeated_run_does_not_post_again_and_the_status_tells(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        first, is_error = await Agent(social, "run1")("publish_post", network="threads", text="Good news")
        assert not is_error
        assert "[awaiting_approval]" in first
        again, _ = await Agent(social, "run1")("publish_post", network="threads", text="Good news")
        assert again == first
        other, is_error = await Agent(social, "run1")("publish_post", network="threads", text="Other news")
        assert is_error
        assert "earlier try of this run" in other
        (job,) = await social.store.jobs()
        await social.approve(job.id, by="owner")
        await settle(social, bed.clock)
        told, _ = await Agent(social, "run2")("post_status", post_id=job.id)
        assert f"is online at Threads: {(await social.store.get(job.id)).permalink}" in told
        listed, _ = await Agent(social, "run2")("post_status")
        assert job.id in listed
        assert bed.live() == 1


async def test_while_in_doubt_the_answer_is_never_failed(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        bed.fault("publish", upstream="instagram", kind="reset", applied=True)
        bed.meta.posts.behaviour.list_lag = bed.meta.posts.behaviour.status_lag = 5
        url = bed.pictures.put("a.jpg", jpeg())
        await Agent(social, "run1")("publish_post", network="instagram", text="a picture", images=[url])
        await settle(social, bed.clock, most_s=60)
        told, _ = await Agent(social, "run2")("post_status")
        assert "may be online, checking" in told
        assert "failed" not in told
        again, is_error = await Agent(social, "run2")(
            "publish_post", network="instagram", text="a picture", images=[url]
        )
        assert is_error
        assert "may be online already" in again


async def test_a_dry_run_and_bad_input_in_words(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        agent = Agent(await bed.service(ASK), "run1")
        told, is_error = await agent("publish_post", network="threads", text="draft", dry_run=True)
        assert not is_error
        assert "a person would be asked" in told
        for arguments, words in (
            ({"network": "threads", "text": "🚀" * 126}, "504 of 500"),
            ({"network": "instagram", "text": "x", "images": ["groups/main/a.png"]}, "hand over a file"),
            ({"network": "threads", "text": "x", "at": "tomorrow"}, "is not a time with its offset"),
            ({"network": "myspace", "text": "x"}, "the arguments do not fit"),
        ):
            told, is_error = await agent("publish_post", **arguments)
            assert is_error
            assert words in told
        assert bed.live() == 0
