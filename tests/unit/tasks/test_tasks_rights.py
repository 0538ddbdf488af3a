"""Who may do what: the decision alone, and over a real store."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoclaw.groups import Group
from nanoclaw.tasks.models import OPERATOR, Task, TaskWish
from nanoclaw.tasks.rights import TASK_ACTIONS, decide_task_action
from shared.errors import Denied, Invalid, NotFound
from tests.support.tasks_bed import CLUB, LAB, MAIN, START, a_bed

FOLDERS = ("lab", "club", "ops", "main-2", "a")


def a_task(folder: str, made_by: str = OPERATOR) -> Task:
    return Task("task_1", folder, made_by, "p", "interval", "1h", "UTC", START, "", "group", "active", "", START, START,
                START)  # fmt: skip


@given(
    st.sampled_from(FOLDERS),
    st.sampled_from(TASK_ACTIONS),
    st.none() | st.builds(a_task, st.sampled_from(FOLDERS), st.sampled_from((*FOLDERS, "main", OPERATOR))),
    st.sampled_from((*FOLDERS, "main", "")),
)
def test_a_group_can_never_act_on_another(actor, action, task, target):
    decision = decide_task_action(Group(actor, "dc:9", "x"), action, task, target)
    if decision.allowed:
        assert target == actor
        assert task is None or task.folder == actor
        assert action != "run_now"
    else:
        assert decision.reason


@given(st.sampled_from(TASK_ACTIONS), st.none() | st.builds(a_task, st.sampled_from(FOLDERS)))
def test_the_main_group_administers_and_the_operator_may_everything(action, task):
    target = task.folder if task else "lab"
    assert decide_task_action(OPERATOR, action, task, target).allowed
    assert decide_task_action(MAIN, action, task, target).allowed == (action != "run_now")


actions = st.lists(
    st.tuples(
        st.sampled_from(("create", "pause", "resume", "cancel", "update", "run_now", "visible")),
        st.sampled_from(("main", "club", "dc:1", "dc:3", "nowhere")),
    ),
    min_size=1,
    max_size=8,
)


async def attempt(bed, action, target, task):
    """What an agent of the lab may try, with its own tools or forged arguments."""
    match action:
        case "create":
            await bed.tasks.create(LAB, TaskWish("p", "interval", "1h"), target=target)
        case "visible":
            await bed.tasks.visible(LAB, target=target)
        case "update":
            await bed.tasks.update(LAB, task.id, TaskWish(prompt="mine now"))
        case _:
            await getattr(bed.tasks, action)(LAB, task.id)


@given(actions)
@settings(max_examples=15, deadline=None)
def test_whatever_a_groups_agent_tries_others_tasks_stay_as_they_are_and_unseen(tmp_path_factory, tried):
    async def everything():
        async with a_bed(tmp_path_factory.mktemp("rights")) as bed:
            foreign = [await bed.add(MAIN), await bed.add(CLUB, by=MAIN, prompt="secret")]
            mine = await bed.add(LAB)
            for action, target in tried:
                for task in foreign:
                    with pytest.raises((Denied, NotFound)) as refused:
                        await attempt(bed, action, target, task)
                    assert "secret" not in refused.value.detail
            assert await bed.tasks.visible(LAB) == [mine]
            assert sorted(await bed.tasks.visible(MAIN), key=str) == sorted([*foreign, mine], key=str)

    asyncio.run(everything())


async def test_a_task_of_another_group_is_as_unknown_as_one_that_does_not_exist(tmp_path):
    async with a_bed(tmp_path) as bed:
        foreign = await bed.add(CLUB)
        details = []
        for task_id in (foreign.id, "task_nothing"):
            with pytest.raises(NotFound) as refused:
                await bed.tasks.cancel(LAB, task_id)
            details.append(refused.value.detail.replace(task_id, "X"))
        with pytest.raises(Denied) as elsewhere:
            await bed.tasks.create(LAB, TaskWish("p", "interval", "1h"), target="club")
        with pytest.raises(Denied) as nowhere:
            await bed.tasks.create(LAB, TaskWish("p", "interval", "1h"), target="nowhere")
        with pytest.raises(NotFound):
            await bed.tasks.create(MAIN, TaskWish("p", "interval", "1h"), target="nowhere")
    assert details[0] == details[1]
    assert elsewhere.value.detail == nowhere.value.detail


async def test_a_group_schedules_for_itself_by_folder_or_chat_and_main_for_others(tmp_path):
    async with a_bed(tmp_path) as bed:
        wish = TaskWish("p", "interval", "1h")
        made = [await bed.tasks.create(LAB, wish, target=target) for target in ("", "lab", "dc:2")]
        made.append(await bed.tasks.create(MAIN, wish, target="dc:2"))
        assert {task.folder for task in made} == {"lab"}
        assert [task.made_by for task in made] == ["lab", "lab", "lab", "main"]
        assert (await bed.tasks.pause(LAB, made[3].id)).reason == "paused by lab"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"prompt": "  "}, "prompt is empty"),
        ({"prompt": "x" * 16_001}, "has 16001 characters"),
        ({"schedule_value": "30s"}, "30 s apart, at least 60 s"),
        ({"schedule_value": "90"}, "0.09 s apart"),
        ({"schedule_kind": "cron", "schedule_value": "* * * *"}, "4 fields"),
        ({"context": "own"}, "use group or isolated"),
        ({"missed": "often"}, "use run_once or skip"),
        ({"schedule_kind": ""}, "use cron, interval or once"),
    ],
)
async def test_a_task_outside_the_limits_is_refused_with_the_reason(tmp_path, wish, words):
    async with a_bed(tmp_path) as bed:
        with pytest.raises(Invalid) as refused:
            await bed.add(**wish)
        assert words in refused.value.detail
        assert await bed.tasks.visible(OPERATOR) == []
