"""A group that is not main can never act on another group, by any tool with any arguments."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from nanoclaw_standins import ScriptedGateway, a_policy, a_tenant
from sqlalchemy import text

from nanoclaw.groups import Group
from nanoclaw.privileges import GroupAction, decide_group_action
from nanoclaw.tasks.models import OPERATOR, TaskWish
from shared.gatewayclient.models import SearchOffer
from shared.gatewayclient.web import FetchedPage, FetchRequest, SearchAnswer

ACTIONS: tuple[GroupAction, ...] = ("speak", "see", "register", "remove")
FOLDERS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True) | st.sampled_from(["main", "lab", "den", "global"])


@given(FOLDERS, st.sampled_from(ACTIONS), FOLDERS)
def test_the_decision_lets_others_act_on_themselves_only(actor, action, target):
    group = Group(actor, "dc:1", actor, is_main=False)
    verdict = decide_group_action(group, action, target)
    assert verdict.reason
    if target != actor or action in {"register", "remove"}:
        assert not verdict.allowed


@given(FOLDERS, st.sampled_from(ACTIONS))
def test_main_may_do_all_but_end_itself(target, action):
    main = Group("main", "dc:1", "Main", is_main=True)
    assert decide_group_action(main, action, target).allowed is not (action == "remove" and target == "main")


GROUPS = {"main": {"chat": "dc:1", "main": True}, "lab": {"chat": "dc:2"}, "den": {"chat": "dc:3"}}
FOREIGN_TASK = "the id of a task of den"
TEMPTING = st.sampled_from(
    [
        *(FOREIGN_TASK, "main", "den", "lab", "global", "dc:1", "dc:3", "dc:9", "*", "", "0", "hello", "<internal>x"),
        *("../den/CLAUDE.md", "/workspace/group/../den/CLAUDE.md", "CLAUDE.md", "/workspace/global/CLAUDE.md"),
        *("https://example.org/", "cron", "0 9 * * *"),
    ]
)
VALUES = st.recursive(
    TEMPTING | st.text(max_size=20) | st.booleans() | st.integers(-5, 50) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["group", "chat", "jid", "folder", "name", "trigger", "requires_trigger", "text", "path", "caption", "question",
     "options", "url", "start", "query", "count", "task_id", "prompt", "target_group", "main", "by"]
) | st.text(max_size=8)  # fmt: skip


def calls(tools: dict[str, dict]):
    """Any tool of anybody with any arguments, and each with arguments that fit its schema."""
    anything = st.tuples(st.sampled_from([*tools, "no_such_tool"]), st.dictionaries(NAMES, VALUES, max_size=4))
    fitting = st.sampled_from(list(tools)).flatmap(
        lambda name: st.tuples(st.just(name), st.fixed_dictionaries(dict.fromkeys(tools[name], TEMPTING)))
    )
    return st.lists(anything | fitting, min_size=5, max_size=15)


@functools.cache
def all_tools() -> dict[str, dict]:
    """Every tool there is, with its arguments."""

    async def ask() -> dict[str, dict]:
        with tempfile.TemporaryDirectory() as folder:
            async with a_tenant(Path(folder), ScriptedGateway(), a_policy(groups=GROUPS), web_search=SEARCH) as house:
                tools = house[0].tools.offered(house[0].registry.find("main"))
                return {tool.name: tool.properties for tool in tools}

    return asyncio.run(ask())


SEARCH = SearchOffer(everybody=True)


async def world(tenant) -> dict:
    """All that belongs to the other groups, and who is registered."""
    foreign = "SELECT key, text FROM outbox WHERE chat != 'dc:2'"
    others = [tenant.paths.group("nanoclaw", name) for name in ("main", "den", "global")]
    return {
        "groups": await tenant.store.groups(),
        "said": await tenant.db.read(lambda c: [tuple(row) for row in c.execute(text(foreign))]),
        "tasks": await tenant.tasks.visible(tenant.registry.find("main")),
        "files": {path: path.read_bytes() for folder in others for path in folder.rglob("*") if path.is_file()},
        "questions": await tenant.db.read(
            lambda c: [tuple(row) for row in c.execute(text("SELECT key FROM question WHERE chat != 'dc:2'"))]
        ),
    }


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_no_call_of_an_ordinary_group_changes_anything_of_another(data):
    made = data.draw(calls(all_tools()))
    asked: list = []

    def web(request):
        asked.append(request)
        if isinstance(request, FetchRequest):
            return FetchedPage(url=request.url, status=200, content_type="text/plain", size_bytes=0)
        return SearchAnswer()

    async def play() -> None:
        with tempfile.TemporaryDirectory() as folder:
            gateway = ScriptedGateway(web=web)
            policy = a_policy(groups=GROUPS, agent={"ask_timeout_s": 0.01})
            async with a_tenant(Path(folder), gateway, policy, web_search=SEARCH) as (tenant, _):
                wish = TaskWish("water", "cron", "0 9 * * *")
                task = await tenant.tasks.create(OPERATOR, wish, target="den", key="k")
                before = await world(tenant)
                for name, arguments in made:
                    arguments = {k: task.id if v == FOREIGN_TASK else v for k, v in arguments.items()}
                    answer = await tenant.tools.call("lab", name, arguments)
                    said = answer["content"][0]["text"]
                    assert "our own" not in said, (name, arguments)
                    assert not any(secret in said for secret in ("dc:1", "dc:3", "main | ", "den | ")) or any(
                        secret in str(arguments) for secret in ("dc:1", "dc:3")
                    )
                after = await world(tenant)
                after["tasks"] = [task for task in after["tasks"] if task.folder != "lab"]
                assert after == before

    asyncio.run(play())
    assert {request.group for request in asked} <= {"lab"}
