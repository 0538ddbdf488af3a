"""The emulated world without a server: ids, tokens, permissions, drafts, limits, snapshots."""

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sandbox.discord.drafts import read_draft, require_content
from gateway.sandbox.discord.errors import ApiError
from gateway.sandbox.discord.limits import LimitPolicy, RateLimiter, Rule
from gateway.sandbox.discord.models import Permission, Upload
from gateway.sandbox.discord.snowflake import SnowflakeMaker, created_at, parse_snowflake
from gateway.sandbox.discord.world import World
from shared.clock import FakeClock
from shared.errors import Invalid, NotFound


def village() -> tuple[World, ...]:
    world = World(clock=FakeClock())
    owner, friend = world.add_user("owner"), world.add_user("friend")
    guild = world.add_guild("Home", owner=owner)
    world.join(guild, friend)
    return world, guild, world.add_channel(guild, "general"), owner, friend


def test_ids_rise_strictly_and_tell_their_time():
    clock = FakeClock(datetime(2026, 5, 1, tzinfo=UTC))
    maker = SnowflakeMaker(clock)
    ids = [maker.make() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert created_at(ids[0]) == datetime(2026, 5, 1, tzinfo=UTC)
    clock.advance(-60)
    assert maker.make() > ids[-1]


@pytest.mark.parametrize(
    ("given_value", "value"),
    [
        ("123", 123),
        (123, 123),
        ("-1", None),
        (True, None),
        ("١٢", None),
        (1 << 64, None),
        ("9" * 21, None),
        (None, None),
    ],
)
def test_an_id_may_be_a_number_or_its_text(given_value, value):
    assert parse_snowflake(given_value) == value


def test_names_are_made_once_and_found_again():
    world, guild, general, owner, _ = village()
    app = world.add_application("J")
    assert world.add_user("owner") is owner
    assert world.add_guild("Home") is guild
    assert world.add_channel(guild, "general") is general
    assert world.add_application("J", intents_allowed=0) is app
    assert world.bot_token(app).count(".") == 2
    assert world.add_user("x", user_id=42).id == 42
    with pytest.raises(Invalid, match="taken"):
        world.add_user("y", user_id=42)


async def test_a_snapshot_brings_everything_back_and_ids_go_on():
    world, _, general, owner, friend = village()
    first = await world.say(owner, general.id, "one <@1>", attachments=[Upload("a.txt", b"x")])
    await world.react(friend, general.id, first.id, "👍")
    app = world.add_application("J")
    dm = await world.open_dm(owner, app)
    saved = json.loads(json.dumps(world.snapshot()))
    other = World(clock=FakeClock())
    other.restore(saved)
    assert other.snapshot() == world.snapshot()
    assert other.state.message(general.id, first.id).reactions == {"👍": [friend.id]}
    assert await other.open_dm(other.find_user("owner"), other.state.applications[app.id]) == dm
    assert (await other.say(other.find_user("owner"), general.id, "two")).id > world.state.last_id


async def test_people_are_refused_in_words():
    world, _, general, owner, friend = village()
    stranger = world.add_user("stranger")
    said = await world.say(owner, general.id, "mine")
    with pytest.raises(Invalid, match="Cannot edit a message authored by another user"):
        await world.edit(friend, general.id, said.id, "yours")
    with pytest.raises(Invalid, match="Missing Access"):
        await world.say(stranger, general.id, "hello")
    with pytest.raises(NotFound, match="Unknown Channel"):
        await world.say(owner, 1, "hello")
    with pytest.raises(Invalid, match="content: Must be 2000 or fewer"):
        await world.say(owner, general.id, "x" * 2001)
    world.deny(friend, general, Permission.SEND_MESSAGES)
    with pytest.raises(Invalid, match="Missing Permissions"):
        await world.say(friend, general.id, "hello")
    world.deny(friend, general, 0)
    await world.say(friend, general.id, "hello")


async def test_a_bot_that_is_not_connected_does_not_hold_people_up():
    world, guild, general, owner, _ = village()
    app = world.add_application("J")
    world.join(guild, app)
    await world.say(owner, general.id, f"<@{app.id}> are you there?")
    assert world.core.log.records == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"content": 5}, "content"),
        ({"content": "x" * 2001}, "content"),
        ({"nonce": "n" * 26}, "nonce"),
        ({"embeds": [{"title": "x" * 257}]}, "embeds"),
        ({"embeds": [{"description": "x" * 4000}, {"description": "x" * 4000}]}, "embeds"),
        ({"components": [{"type": 1, "components": []}]}, "components"),
        ({"components": [{"type": 1, "components": [{"type": 2, "style": 1, "label": "x"}]}]}, "components"),
        ({"components": [{"type": 1, "components": [{"type": 2, "style": 1, "custom_id": "x"}]}]}, "components"),
        ({"message_reference": {"message_id": "x"}}, "message_reference"),
        ({"allowed_mentions": {"parse": ["all"]}}, "allowed_mentions"),
        ({"attachments": [{"filename": "x"}]}, "attachments"),
        ({"sticker_ids": ["1"]}, "sticker_ids"),
        ({"flags": "x"}, "flags"),
    ],
)
def test_a_wrong_body_is_refused_by_field(body, place):
    with pytest.raises(ApiError) as refused:
        read_draft(body)
    assert refused.value.code == 50035
    assert list(refused.value.errors) == [place]


def test_the_same_custom_id_twice_is_refused():
    button = {"type": 2, "style": 1, "label": "x", "custom_id": "same"}
    with pytest.raises(ApiError, match="50035"):
        read_draft({"components": [{"type": 1, "components": [button, button]}]})


def test_an_empty_message_is_refused_unless_there_is_something_to_see():
    with pytest.raises(ApiError, match="50006"):
        require_content(read_draft({"content": " \n"}))
    require_content(read_draft({"embeds": [{"title": "x"}]}))
    require_content(read_draft({}, {0: Upload("a", b"x")}))


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_any_json_is_a_draft_or_a_proper_refusal(value):
    for body in (value, {"content": value}, {"embeds": value}, {"components": value}, {"allowed_mentions": value}):
        with contextlib.suppress(ApiError):
            read_draft(body)


def test_a_bucket_refills_and_each_channel_has_its_own():
    clock = FakeClock()
    limiter = RateLimiter(LimitPolicy(rules=(Rule("*", 2, 5.0),)), clock)
    assert limiter.spend(1, "x", "a")["X-RateLimit-Remaining"] == "1"
    assert limiter.spend(1, "x", "a")["X-RateLimit-Remaining"] == "0"
    with pytest.raises(ApiError) as refused:
        limiter.spend(1, "x", "a")
    assert refused.value.extra == {"retry_after": 5.0, "global": False}
    limiter.spend(1, "x", "b")
    limiter.spend(2, "x", "a")
    clock.advance(5)
    limiter.spend(1, "x", "a")
    assert limiter.hits == {"x": 1}
