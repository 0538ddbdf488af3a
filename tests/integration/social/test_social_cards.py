"""A post is shown to those who decide, and exactly one of all answers counts: button, Control UI, command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.social.cards import asked_cards
from gateway.social.models import PostRefused
from gateway.social.service import Social
from gateway.social.views import info_of
from shared.channels.base import ChannelHandlers, Sender
from shared.channels.outbox import Outbox
from shared.errors import Conflict, Denied, NotFound
from shared.gatewayclient.models import PostAnswer, PostCard, PostChange, PostInfo
from shared.lifecycle.tasks import TaskPool
from shared.posting.cards import PostCards
from shared.testing.channel_bed import Fault, MemoryChannel, Shown, channel_database, delivering
from shared.testing.waiting import until
from tests.support.social_bed import OPEN, Bed, post, settle, social_bed, wish

OWNER, STRANGER = Sender("200", "owner"), Sender("300", "stranger")
CARDS = "dc:9200"
RULE = {**OPEN, "mode": "approval", "approvers": ["operator", "200"]}
ASK = {"tenants": {"nanoclaw": {"threads": RULE}}}


class Direct:
    """What the tenant socket does, without the socket."""

    def __init__(self, social: Social) -> None:
        self.social = social
        self.unshown: list[str] = []

    async def post_cards(self, seen: str, wait_s: float) -> list[PostCard]:
        return await asked_cards(self.social, "nanoclaw", seen=seen, wait_s=min(wait_s, 1.0))

    async def answer_post(self, post_id: str, answer: PostAnswer) -> PostInfo:
        return info_of(await self.social.answer("nanoclaw", post_id, answer))

    async def post_unshown(self, post_id: str) -> None:
        self.unshown.append(post_id)


@dataclass
class Desk:
    """A tenant's side: cards on a chat platform in memory."""

    cards: PostCards
    channel: MemoryChannel
    gateway: Direct

    @property
    def shown(self) -> list[Shown]:
        return [message for message in self.channel.shown if message.buttons or "post_" in message.text]

    async def edit(self, text: str, sender: Sender = OWNER) -> str:
        card = self.shown[-1]
        action = next(button.action for button in card.buttons if button.label == "Edit")
        return await self.channel.fill_in(card.id, action, text, sender=sender)

    async def press(self, label: str, sender: Sender = OWNER, *, card: Shown | None = None) -> str:
        card = card or self.shown[-1]
        action = next(button.action for button in card.buttons if button.label == label)
        return await self.channel.press(card.id, action, sender=sender)


@asynccontextmanager
async def desk(folder: Path, social: Social, *, channel: MemoryChannel | None = None) -> AsyncIterator[Desk]:
    """Leaving it is like the end of the tenant's process; the platform's people keep what they see."""
    holder: list[PostCards] = []

    async def on_press(press) -> str:
        said = await holder[0].on_press(press)
        return "not ours" if said is None else said

    async def on_message(_message) -> None:
        return

    async with channel_database(folder) as (database, tables):
        platform = MemoryChannel(ChannelHandlers(on_message=on_message, on_press=on_press))
        if channel is not None:
            platform.shown, platform._next_id = channel.shown, channel._next_id
        outbox = Outbox(database, tables, lambda _chat: platform, spool=folder / "spool")
        gateway = Direct(social)
        cards = PostCards(gateway, outbox)
        holder.append(cards)
        tasks = TaskPool("cards")
        async with delivering(outbox):
            tasks.start(cards.run(), name="run")
            try:
                yield Desk(cards, platform, gateway)
            finally:
                await tasks.close()


async def published(bed: Bed, social: Social) -> None:
    await settle(social, bed.clock)
    social.changes.note()


async def test_a_button_lets_exactly_this_post_go_and_the_card_comes_to_its_permalink(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        async with desk(tmp_path, social) as people:
            info = await post(social, wish("Good morning"))
            await until(lambda: people.shown)
            (card,) = people.shown
            assert (card.chat, [button.label for button in card.buttons]) == (CARDS, ["Approve", "Edit", "Reject"])
            assert "Good morning" in card.text
            assert "Approved" in await people.press("Approve")
            await published(bed, social)
            job = await social.store.get(info.id)
            assert (job.state, job.approved_by, bed.live()) == ("published", "owner (200)", 1)
            await until(lambda: job.permalink in people.shown[0].text)
            assert people.shown[0].buttons == ()
            assert len(people.shown) == 1


async def test_a_press_on_an_old_screen_is_answered_calmly(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        async with desk(tmp_path, social) as people:
            await post(social, wish("once"))
            await until(lambda: people.shown)
            card = people.shown[0]
            await people.press("Reject")
            action = card.buttons[0].action
            await until(lambda: not people.shown[0].buttons)
            people.channel.shown[people.channel.shown.index(people.shown[0])] = card
            assert "settled before" in await people.channel.press(card.id, action, sender=OWNER)
            await published(bed, social)
            assert bed.live() == 0


async def test_strangers_decide_nothing(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        async with desk(tmp_path, social) as people:
            info = await post(social, wish("mine"))
            await until(lambda: people.shown)
            assert "Only the approvers" in await people.press("Approve", STRANGER)
            assert (await social.store.get(info.id)).state == "awaiting_approval"
            with pytest.raises(NotFound):
                await social.answer("openclaw", info.id, answered(info, "approve", "200"))


async def test_one_of_many_answers_at_the_same_time_decides(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        info = await post(social, wish("race"))

        async def by_command() -> str:
            try:
                await social.reject(info.id, by="operator")
            except Conflict:
                return "late"
            return "reject"

        async def by_answer(what: str, who: str) -> str:
            try:
                await social.answer("nanoclaw", info.id, answered(info, what, who))
            except Conflict as error:
                return "late" if "settled before" in error.detail else error.detail
            return what

        tries = [
            by_answer("approve", "200"),
            by_answer("reject", "operator"),
            by_command(),
            by_answer("approve", "200"),
        ]
        outcomes = await asyncio.gather(*tries)
        assert sorted(outcomes).count("late") == 3
        await published(bed, social)
        assert bed.live() == (1 if "approve" in outcomes else 0)


async def test_an_edit_asks_again_and_the_old_card_counts_for_nothing(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        async with desk(tmp_path, social) as people:
            info = await post(social, wish("frist"))
            await until(lambda: people.shown)
            old = people.shown[0]
            await social.edit(info.id, "first", by="operator")
            with pytest.raises(Conflict, match="changed after it was shown"):
                await social.answer("nanoclaw", info.id, answered(info, "approve", "200"))
            await until(lambda: "first" in people.shown[0].text)
            assert people.shown[0].buttons != old.buttons
            await people.press("Approve")
            # Approved and still not out: another edit takes the approval back.
            await social.edit(info.id, "the very first", by="operator")
            await settle(social, bed.clock, most_s=60)
            assert bed.live() == 0
            await until(lambda: "the very first" in people.shown[0].text)
            await until(lambda: people.shown[0].buttons)
            await people.press("Approve")
            await published(bed, social)
            assert [entry.text for entry in bed.meta.posts.live] == ["the very first"]


async def test_the_cards_edit_button_changes_the_text_and_asks_again(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        async with desk(tmp_path, social) as people:
            info = await post(social, wish("Godo morning"))
            await until(lambda: people.shown)
            old = people.shown[0]
            assert "Only the approvers" in await people.edit("Buy now", STRANGER)
            assert "504 of 500" in await people.edit("🚀" * 126)
            assert (await social.store.get(info.id)).content.text == "Godo morning"
            assert "everybody is asked again" in await people.edit("Good morning")
            await until(lambda: "Good morning" in people.shown[0].text)
            job = await social.store.get(info.id)
            assert (job.state, job.approved_by, bed.live()) == ("awaiting_approval", "", 0)
            approve, edit = old.buttons[0].action, old.buttons[1].action
            people.channel.shown[people.channel.shown.index(people.shown[0])] = old
            assert "not the one you see any more" in await people.channel.press(old.id, edit, sender=OWNER)
            assert "changed after it was shown" in await people.channel.press(old.id, approve, sender=OWNER)
            await social.approve(info.id, by="owner")
            await published(bed, social)
            assert [entry.text for entry in bed.meta.posts.live] == ["Good morning"]


async def test_posts_nobody_is_asked_about_are_told_of_and_shown_nowhere(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        async with channel_database(tmp_path) as (database, tables):
            platform = MemoryChannel(ChannelHandlers(on_message=lambda _m: asyncio.sleep(0)))
            gateway, states = Direct(social), list[str]()
            outbox = Outbox(database, tables, lambda _chat: platform, spool=tmp_path / "spool")
            cards = PostCards(gateway, outbox, changed=lambda card: states.append(card.post.state))
            await post(social, wish("by itself"))
            assert await cards.show_all(await gateway.post_cards("", 0))
            await published(bed, social)
            assert await cards.show_all(await gateway.post_cards("", 0))
            assert (states, platform.shown) == (["queued", "published"], [])


async def test_a_card_outlives_both_processes_and_is_shown_once(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        async with desk(tmp_path, social) as people:
            await post(social, wish("still here"))
            await until(lambda: people.shown)
            before = people.channel
        again = await bed.service(ASK)
        async with desk(tmp_path, again, channel=before) as people:
            await asyncio.sleep(0.1)
            assert len(people.shown) == 1
            await people.press("Approve")
            await published(bed, again)
            assert bed.live() == 1


async def test_somebody_who_takes_no_messages_is_told_of_in_words(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        async with channel_database(tmp_path) as (database, tables):
            platform = MemoryChannel(ChannelHandlers(on_message=lambda _m: asyncio.sleep(0)))
            platform.faults = [Fault("direct", Denied("takes no messages")) for _ in range(4)]
            gateway = Direct(social)
            cards = PostCards(gateway, Outbox(database, tables, lambda _chat: platform), clock=bed.clock)
            info = await post(social, wish("nobody"))
            assert not await cards.show_all(await gateway.post_cards("", 0))
            assert gateway.unshown == []
            bed.clock.advance(180)
            for _ in range(2):
                await cards.show_all(await gateway.post_cards("", 0))
            assert gateway.unshown == [info.id]


async def test_the_control_ui_decides_only_where_policy_lists_it(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service({"tenants": {"nanoclaw": {"threads": {**RULE, "approvers": ["200"]}}}})
        info = await post(social, wish("ui"))
        with pytest.raises(Denied):
            await social.answer("nanoclaw", info.id, answered(info, "approve", "operator"))
        with pytest.raises(Denied):
            await social.change("nanoclaw", info.id, PostChange(action="cancel"))
        allowed = await bed.service(ASK)
        with pytest.raises(PostRefused, match="at is missing"):
            await allowed.change("nanoclaw", info.id, PostChange(action="schedule"))
        with pytest.raises(PostRefused, match="504 of 500"):
            await allowed.change("nanoclaw", info.id, PostChange(action="edit", text="🚀" * 126))
        assert (await allowed.change("nanoclaw", info.id, PostChange(action="cancel"))).state == "cancelled"


def answered(info: PostInfo, what, who: str) -> PostAnswer:
    return PostAnswer(answer=what, digest=info.digest, approver=who, name="somebody")
