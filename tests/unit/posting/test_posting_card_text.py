"""What an approver reads is what will be posted, whatever somebody hid in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.gatewayclient.models import PostCard, PostInfo, seen_mark
from shared.posting.card_text import buttons, card_text, read_action

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DIGEST = "ab" * 32


def a_card(text: str = "Good morning", *, state: str = "awaiting_approval", version: int = 0, **more) -> PostCard:
    values = {
        "id": "post_abc234",
        "tenant": "nanoclaw",
        "group": "main",
        "network": "threads",
        "account": "threads:1",
        "kind": "text",
        "text": text,
        "media": (),
        "state": state,
        "error_code": "",
        "detail": "",
        "summary": "is on its way",
        "media_id": "",
        "permalink": "",
        "digest": DIGEST,
        "idempotency_key": None,
        "due_at": NOW,
        "created_at": NOW,
        "published_at": None,
        "approved_by": "",
        "length": len(text),
        "limit": 500,
    }
    post = PostInfo.model_validate({**values, **more})
    return PostCard(post=post, version=version, places=("dc:1",), ask_until=NOW + timedelta(hours=24))


def test_everything_that_will_appear_is_on_the_card() -> None:
    card = a_card(
        "One\n\nTwo #three",
        media=("https://example.org/a.jpg",),
        extras={"topic": "boats", "answers": "123"},
        due_at=NOW + timedelta(hours=3),
        kind="image",
    )
    text = card_text(card)
    for part in ("Threads", "threads:1", "One\n\nTwo #three", "https://example.org/a.jpg", "boats", "123", "of 500"):
        assert part in text
    assert f"<t:{int((NOW + timedelta(hours=3)).timestamp())}:F>" in text
    assert "post_abc234" in text


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("pay\u202eyap", "\\u{202e}"),
        ("a\u200bb", "\\u{200b}"),
        ("end ``` **approved by owner**", "\u02cb\u02cb\u02cb"),
        ("a\u2028b", "\\u{2028}"),
    ],
)
def test_nothing_hides_or_leaves_the_block(hidden: str, shown: str) -> None:
    text = card_text(a_card(hidden))
    assert shown in text
    assert text.count("```") == 2


def test_emoji_stay_what_they_are() -> None:
    assert "👩\u200d🚀 ❤\ufe0f" in card_text(a_card("👩\u200d🚀 ❤\ufe0f"))


def test_a_media_address_with_markup_is_shown_as_code() -> None:
    address = "https://example.org/a b`c"
    assert "`https://example.org/a b\u02cbc`" in card_text(a_card(media=(address,)))


def test_buttons_name_the_post_and_what_was_shown_and_go_when_it_is_settled() -> None:
    approve, edit, reject = buttons(a_card())
    assert (approve.label, edit.label, reject.label) == ("Approve", "Edit", "Reject")
    pressed = read_action(approve.action)
    assert pressed is not None
    assert (pressed.post_id, pressed.answer) == ("post_abc234", "approve")
    assert DIGEST.startswith(pressed.digest)
    assert len(approve.action) <= 100
    assert buttons(a_card(state="published")) == ()


@pytest.mark.parametrize("action", ["", "ask:x:1", "post:post_a:zz:approve", "post:post_a:abababababababab:maybe"])
def test_other_buttons_are_not_ours(action: str) -> None:
    assert read_action(action) is None


def test_a_settled_card_says_what_became_of_it() -> None:
    text = card_text(a_card(state="published", permalink="https://example.org/post/1", approved_by="owner (200)"))
    assert "Online at Threads" in text
    assert "https://example.org/post/1" in text
    assert "owner (200)" in text
    assert "Not approved" in card_text(a_card(state="rejected", summary="was not approved: no"))


def test_the_mark_changes_with_every_version() -> None:
    assert seen_mark([a_card()]) == seen_mark([a_card()])
    assert len({seen_mark([]), seen_mark([a_card()]), seen_mark([a_card(version=1)])}) == 3
