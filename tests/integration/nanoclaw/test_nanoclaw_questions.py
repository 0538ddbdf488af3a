"""Questions of an agent: who can answer, how, and what happens to answers that come late or twice."""

from __future__ import annotations

import asyncio

import pytest
from nanoclaw_standins import LastingChannel, ScriptedGateway, a_message, a_policy, a_tenant
from sqlalchemy import text

from shared.channels.base import Attachment, ButtonPress, Sender
from shared.errors import Unavailable

GROUPS = {"main": {"chat": "dc:1", "main": True}, "den": {"chat": "dc:3"}}
QUESTION = {"question": "Which one?", "options": ["red", "blue"]}


def policy(**more):
    return a_policy(groups=GROUPS, **more)


def asking(arguments=None, *, then=None):
    """An agent that asks once a turn and answers with what it heard."""

    async def reply(worker, asked, prompt_uuid):
        await worker.hello()
        heard = await worker.say_through("ask_user", arguments or QUESTION)
        if then is not None:
            await then(worker)
        worker.result(f"heard: {heard}", prompt_uuid)

    return ScriptedGateway(reply=reply)


def is_asked(texts):
    return bool(texts) and "Which one?" in texts[-1]


async def until_asked(channel, chat="dc:1"):
    await channel.says(is_asked, chat=chat)


async def test_a_press_is_the_answer_and_the_buttons_go(tmp_path):
    async with a_tenant(tmp_path, asking(), policy()) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        assert await channel.press("blue", sender="bob") == "Noted: blue"
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
        await tenant.lanes.idle()
        assert texts == ["Which one?\n→ blue (bob)", "heard: bob answered: blue"]
        assert not any(channel.buttons.values())
        assert await tenant.inbox.counts() == {"done": 1}


async def test_the_next_message_is_the_answer_and_no_run_of_its_own(tmp_path):
    gateway = asking({"question": "Which one?"})
    async with a_tenant(tmp_path, gateway, policy()) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        answer = a_message("the green one")
        await channel.handlers.on_message(answer)
        await channel.says(lambda texts: texts[-1] == "heard: ann answered: the green one")
        await channel.handlers.on_message(answer)  # delivered twice, as platforms do
        await tenant.lanes.idle()
        item = await tenant.inbox.find("dc:1", answer.id)
        assert (item.state, len(gateway.asked)) == ("done", 1)
        assert item.reason.startswith("the answer to a question of run run_")


@pytest.mark.parametrize(
    ("message", "is_answer"),
    [
        ({"sender": "ann", "addressed": False}, True),
        ({"sender": "bob", "addressed": False}, False),
        ({"sender": "bob", "addressed": True}, True),
        ({"sender": "ann", "chat": "dc:1"}, False),
        ({"sender": "ann", "text": "   "}, False),
    ],
)
async def test_among_several_people_those_who_asked_or_call_answer(tmp_path, message, is_answer):
    """In a chat with a trigger, talk of others that calls nobody stays talk."""
    async with a_tenant(tmp_path, asking(), policy()) as (tenant, channel):
        await channel.handlers.on_message(a_message("go", chat="dc:3"))
        await until_asked(channel, "dc:3")
        sent = a_message(**{"text": "red", "chat": "dc:3"} | message)
        await channel.handlers.on_message(sent)
        item = await tenant.inbox.find(sent.chat, sent.id)
        assert (item.state == "done") is is_answer
        if not is_answer:
            await channel.press("blue", chat="dc:3")
        heard = await channel.says(lambda texts: texts[-1].startswith("heard"), chat="dc:3")
        assert heard[-1].endswith(": red") is is_answer


async def test_nobody_answers(tmp_path):
    async with a_tenant(tmp_path, asking(), policy(agent={"ask_timeout_s": 0.2})) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        texts = await channel.says(lambda texts: bool(texts) and texts[-1].startswith("heard"))
        assert texts[0] == "Which one?\n→ no answer in time"
        assert "Nobody answered within 0.2 seconds" in texts[1]
        assert (await first_question(tenant)).state == "unanswered"


async def first_question(tenant):
    key = await tenant.db.read(lambda c: c.execute(text("SELECT key FROM question")).scalar_one())
    return await tenant.questions._store.find(key)


async def press_of(tenant, channel, *, option=0, chat="dc:1", sender="ann", is_bot=False):
    """Press a button that is not shown any more."""
    question = await first_question(tenant)
    action = f"ask:{question.key}:{option}"
    return await channel.handlers.on_press(ButtonPress(chat, "1", action, Sender(f"u-{sender}", sender, is_bot=is_bot)))


async def test_late_foreign_and_made_up_presses_get_a_calm_answer_and_change_nothing(tmp_path):
    async with a_tenant(tmp_path, asking(), policy()) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        assert "does not belong" in await press_of(tenant, channel, chat="dc:3")
        assert "does not belong" in await press_of(tenant, channel, option=7)
        assert "Only people" in await press_of(tenant, channel, is_bot=True)
        for action in ("ask:nothing:0", "ask:", "ask:x:-1", "ask:x:999", "else"):
            press = ButtonPress("dc:1", "1", action, Sender("u", "u"))
            assert "does not belong" in await channel.handlers.on_press(press)
        assert (await first_question(tenant)).state == "open"
        both = await asyncio.gather(channel.press("red", sender="bob"), channel.press("blue", sender="eve"))
        assert sorted(said.split(":")[0] for said in both) == ["Noted", "This was answered already"]
        await channel.says(lambda texts: texts[-1].startswith("heard"))
        assert "answered already" in await press_of(tenant, channel)


async def test_a_press_after_the_run_ended_for_good_is_too_late(tmp_path):
    async def reply(worker, asked, prompt_uuid):
        await worker.hello()
        await worker.say_through("ask_user", QUESTION)

    gateway = ScriptedGateway(reply=reply)
    async with a_tenant(tmp_path, gateway, policy(runs={"retry_delays_s": [], "drain_s": 0})) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        gateway.live["w1"].end(1, "crashed")
        await channel.says(lambda texts: "Sorry" in texts[-1])
        await tenant.lanes.idle()
        assert "nobody waits" in await press_of(tenant, channel)


async def test_a_restart_in_the_wait_repeats_the_run_which_finds_an_answer_given_meanwhile(tmp_path):
    gateway = asking()
    async with a_tenant(tmp_path, gateway, policy(runs={"retry_delays_s": [0.01], "drain_s": 0})) as (_, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        posted = dict(channel.sent["dc:1"])
    gateway.live["w1"].end(137, "oom")  # its worker is gone as well
    waiting = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        await waiting.wait()
        await worker.hello()
        worker.result(f"heard: {await worker.say_through('ask_user', QUESTION)}", prompt_uuid)

    gateway.reply = reply
    async with a_tenant(tmp_path, gateway, policy()) as (tenant, channel):
        channel.sent["dc:1"] = posted
        assert await press_of(tenant, channel, option=1) == "Noted: blue"
        waiting.set()
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
        await tenant.lanes.idle()
    assert texts[-1] == "heard: ann answered: blue"
    assert sum("Which one?" in shown for shown in texts) == 1  # not asked twice


async def test_a_question_outlives_a_restart_with_the_run_that_waits_for_its_answer(tmp_path):
    gateway, place = asking(), LastingChannel()
    async with a_tenant(tmp_path, gateway, policy(runs={"drain_s": 0}), place) as (_, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
    async with a_tenant(tmp_path, gateway, policy(), place) as (tenant, channel):
        await channel.press("blue")
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
        await tenant.lanes.idle()
    assert texts[-1] == "heard: ann answered: blue"
    assert sum("Which one?" in shown for shown in texts) == 1
    assert len(gateway.asked) == len(gateway.leases) == 1


async def test_a_press_that_crosses_the_run_asking_again_is_heard_by_it(tmp_path):
    gateway, place = asking(), LastingChannel()
    async with a_tenant(tmp_path, gateway, policy(runs={"retry_delays_s": [0.01], "drain_s": 0}), place) as (
        _,
        channel,
    ):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
    gateway.live["w1"].end(137, "oom")
    go_on = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        await go_on.wait()
        await worker.hello()
        worker.result(f"heard: {await worker.say_through('ask_user', QUESTION)}", prompt_uuid)

    gateway.reply = reply
    async with a_tenant(tmp_path, gateway, policy(), place) as (tenant, channel):
        has_open_run = tenant.inbox.has_open_run

        async def slow(run_id):
            answer = await has_open_run(run_id)
            go_on.set()
            async with asyncio.timeout(20):
                while not any(wait.is_free for wait in tenant.questions._waits.values()):
                    await asyncio.sleep(0.01)
            return answer

        tenant.inbox.has_open_run = slow
        assert await channel.press("blue") == "Noted: blue"
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
        await tenant.lanes.idle()
    assert texts[-1] == "heard: ann answered: blue"


async def test_a_repeated_run_that_asks_something_else_does_not_get_the_old_answer(tmp_path):
    tries = []

    async def reply(worker, asked, prompt_uuid):
        tries.append(1)
        await worker.hello()
        question = {"question": f"Which one? Delete file {len(tries)}?", "options": ["yes"]}
        said = await worker.say_through("ask_user", question)
        if len(tries) == 1:
            worker.end(1, "crashed")
            return
        worker.result(f"heard: {said}", prompt_uuid)

    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy()) as (_, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        await channel.press("yes", sender="bob")
        await channel.says(lambda texts: any("file 2" in shown for shown in texts))
        await channel.press("yes", sender="eve")
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
    assert texts[-1] == "heard: eve answered: yes"


async def test_two_questions_at_once_are_answered_in_their_order(tmp_path):
    async def reply(worker, asked, prompt_uuid):
        await worker.hello()
        answers = await asyncio.gather(
            worker.say_through("ask_user", {"question": "First?"}),
            worker.say_through("ask_user", {"question": "Which one?"}),
        )
        worker.result("heard: " + " / ".join(answers), prompt_uuid)

    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy()) as (_, channel):
        await channel.handlers.on_message(a_message("go"))
        await channel.says(lambda texts: len(texts) == 2)
        await channel.handlers.on_message(a_message("one"))
        await channel.handlers.on_message(a_message("two"))
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
    assert texts[-1] == "heard: ann answered: one / ann answered: two"


async def test_a_storage_failure_while_an_answer_is_stored_loses_neither_answer_nor_question(tmp_path, monkeypatch):
    async with a_tenant(tmp_path, asking(), policy()) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        real, failures = tenant.inbox.append, [1]

        async def append(message, **more):
            if failures:
                failures.pop()
                raise Unavailable("the disk is full")
            return await real(message, **more)

        monkeypatch.setattr(tenant.inbox, "append", append)
        message = a_message("red")
        with pytest.raises(Unavailable):
            await channel.handlers.on_message(message)
        await channel.handlers.on_message(message)  # the channel repeats it
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
    assert texts[-1] == "heard: ann answered: red"


async def test_a_thousand_words_of_internal_thought_are_not_asked(tmp_path):
    gateway = asking({"question": "<internal>plan</internal>Which one?", "options": ["<internal>x</internal>"]})
    async with a_tenant(tmp_path, gateway, policy()) as (_, channel):
        await channel.handlers.on_message(a_message("go"))
        [said] = await channel.says(bool)
    assert said.startswith("heard: refused: not asked")


async def test_in_a_thread_the_question_and_its_answer_stay_there(tmp_path):
    thread = {"chat": "dc:30", "parent": "dc:3", "kind": "thread"}
    async with a_tenant(tmp_path, asking(), policy()) as (tenant, channel):
        await channel.handlers.on_message(a_message("go", **thread))
        await until_asked(channel, "dc:30")
        elsewhere = a_message("red", chat="dc:3")
        await channel.handlers.on_message(elsewhere)
        assert (await tenant.inbox.find("dc:3", elsewhere.id)).state == "new"
        await channel.handlers.on_message(a_message("blue", **thread))
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"), chat="dc:30")
    assert texts[-1] == "heard: ann answered: blue"


async def test_files_of_an_answer_are_fetched_and_named(tmp_path):
    async with a_tenant(tmp_path, asking(), policy()) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await until_asked(channel)
        channel.files["7"] = b"figures"
        file = Attachment("7", "a.txt", "text/plain", 7, "http://127.0.0.1/")
        answer = a_message("", attachments=(file,))
        await channel.handlers.on_message(answer)
        texts = await channel.says(lambda texts: texts[-1].startswith("heard"))
        await tenant.lanes.idle()
        kept = tenant.paths.group("nanoclaw", "main") / "attachments" / answer.id / "a.txt"
        async with asyncio.timeout(10):
            while not kept.exists():
                await asyncio.sleep(0.02)
    assert texts[-1] == f"heard: ann answered: [a.txt, being fetched into attachments/{answer.id}/]"
