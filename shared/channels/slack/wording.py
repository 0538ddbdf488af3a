"""The text of a message as it goes out, and Slack's names of emoji."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.channels.base import Button
from shared.channels.slack.mrkdwn import SLACK_LIMIT, escape, to_mrkdwn, wire_length
from shared.channels.text import length
from shared.errors import Denied, Invalid

PLAIN: Mapping[str, str | bool] = {"parse": "none", "link_names": False}
"""Nothing in a text is looked at twice: names do not become mentions (`chat.update` would look otherwise)."""

_EMOJI = {"👀": "eyes", "✅": "white_check_mark", "❌": "x", "⏳": "hourglass_flowing_sand", "👍": "+1", "⚠️": "warning"}


def worded(text: str, buttons: Sequence[Button] = ()) -> str:
    """The text on the wire; what could be pressed elsewhere is shown as words to answer with.

    Raises:
        Invalid: it is empty, or longer than Slack leaves in one message.
    """
    if not text.strip():
        raise Invalid("a message on Slack must have a text")
    if (size := wire_length(text)) > SLACK_LIMIT:
        raise Invalid(f"a message of {size} characters is longer than the {SLACK_LIMIT} that Slack keeps in one piece")
    wire = to_mrkdwn(text)
    labels = "\n" + " · ".join(f"`{escape(button.label)}`" for button in buttons) if buttons else ""
    return wire + labels if length(wire + labels) <= SLACK_LIMIT else wire


def emoji_name(emoji: str) -> str:
    """What Slack calls an emoji.

    Raises:
        Denied: it is none of the few that are used here.
    """
    name = _EMOJI.get(emoji)
    if name is None:
        raise Denied(f"Slack's name of the emoji {emoji} is not known here")
    return name
