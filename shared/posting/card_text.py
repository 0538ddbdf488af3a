"""What an approver sees of a post: the text as it will appear, where it goes and when, with nothing hidden in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from shared.channels.base import Button
from shared.channels.visible import in_code, lines_in_code
from shared.gatewayclient.models import PostCard, PostInfo
from shared.social.models import TITLES

ACTION: Final = "post"
"""First part of the action of every button under a card."""

_DIGEST_CHARS: Final = 16
_MARKS: Final = {
    "awaiting_approval": "🟠",
    "published": "🟢",
    "failed": "🔴",
    "rejected": "🔴",
    "cancelled": "⚪",
    "deleted": "⚪",
    "needs_attention": "⚠️",
}
_UNDER_WAY: Final = "🔵"
_ACTION = re.compile(rf"{ACTION}:(post_[0-9a-z]{{1,40}}):([0-9a-f]{{{_DIGEST_CHARS}}}):(approve|reject|edit)")


@dataclass(frozen=True, slots=True)
class Pressed:
    """A press of one of our buttons, taken apart."""

    post_id: str
    digest: str
    answer: Literal["approve", "reject", "edit"]


def read_action(action: str) -> Pressed | None:
    """What a button means; None when it is not one of ours."""
    found = _ACTION.fullmatch(action)
    if found is None:
        return None
    answers: dict[str, Literal["approve", "reject", "edit"]] = {"approve": "approve", "edit": "edit"}
    return Pressed(found[1], found[2], answers.get(found[3], "reject"))


def card_text(card: PostCard) -> str:
    """The card; a long text makes it longer than one message, and is never cut."""
    post = card.post
    who = f"`{in_code(post.group or 'the operator')}`"
    lines = [f"{_MARKS.get(post.state, _UNDER_WAY)} **{_headline(post)}**"]
    kind = f"{post.kind}, " if post.kind != "text" else ""
    counted = f"{kind}{post.length} of {post.limit} characters" if post.limit else post.kind
    lines.append(f"{TITLES[post.network]} · account `{in_code(post.account)}` · {counted} · from {who}")
    if post.text:
        # One block for each paragraph of a long text would not be faithful; the outbox closes and opens blocks.
        lines.append(f"```\n{lines_in_code(post.text)}\n```")
    else:
        lines.append("(no text)")
    lines += [f"{name}: `{in_code(value)}`" for name, value in post.extras.items()]
    lines += [f"{number}. {_media(url)}" for number, url in enumerate(post.media, start=1)]
    if post.due_at > post.created_at and post.state in {"awaiting_approval", "scheduled"}:
        lines.append(f"Wanted for <t:{int(post.due_at.timestamp())}:F>")
    if post.state == "awaiting_approval":
        until = f" Expires <t:{int(card.ask_until.timestamp())}:R>" if card.ask_until is not None else ""
        lines.append(f"Approving counts for exactly this; an edit asks again.{until}")
    else:
        lines.append(_outcome(post))
    lines.append(f"-# {post.id}")
    return "\n".join(line for line in lines if line)


def _media(address: str) -> str:
    # A plain address lets the platform show the picture; one that is not plain is shown as what it is.
    is_plain = address.startswith(("http://", "https://")) and not re.search(r"[\s<>`]", address)
    return address if is_plain else f"`{in_code(address)}`"


def _headline(post: PostInfo) -> str:
    title = TITLES[post.network]
    match post.state:
        case "awaiting_approval":
            return f"A post for {title} waits for you"
        case "rejected":
            return f"Not approved for {title}"
        case "published":
            return f"Online at {title}"
        case "cancelled":
            return "Cancelled"
        case "deleting":
            return f"Being deleted at {title}"
        case "deleted":
            return f"Deleted at {title}"
        case "failed":
            return f"Not online at {title}"
        case "needs_attention":
            return f"May be online at {title}: please look"
    return f"Approved by `{in_code(post.approved_by)}`" if post.approved_by else f"On its way to {title}"


def _outcome(post: PostInfo) -> str:
    if post.state == "published" and post.permalink and _media(post.permalink) == post.permalink:
        return f"{post.permalink} (approved by `{in_code(post.approved_by)}`)"
    # A summary may hold what others wrote, such as a reason.
    return f"`{in_code(post.summary.replace('`', ''))}`"


def buttons(card: PostCard) -> tuple[Button, ...]:
    """What can be pressed: nothing once it is settled."""
    post = card.post
    if post.state != "awaiting_approval":
        return ()
    action = f"{ACTION}:{post.id}:{post.digest[:_DIGEST_CHARS]}"
    return (
        Button(f"{action}:approve", "Approve", "success"),
        Button(f"{action}:edit", "Edit"),
        Button(f"{action}:reject", "Reject", "danger"),
    )
