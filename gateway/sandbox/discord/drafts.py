"""Message bodies as they come in: read strictly, and refused the way Discord refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.sandbox.discord.errors import ApiError, invalid_form
from gateway.sandbox.discord.models import Json, Message, MessageFlag, Upload
from gateway.sandbox.discord.shape import list_at, object_at, objects_at, text_at
from gateway.sandbox.discord.snowflake import parse_snowflake
from gateway.sandbox.discord.wire import ATTACHMENT_SIZE_LIMIT

CONTENT_LIMIT = 2_000
NONCE_LIMIT = 25
ATTACHMENT_LIMIT = 10
NITRO_CONTENT_LIMIT = 4_000
"""Longest text of a person with Nitro. Source: Discord's limit."""
NITRO_ATTACHMENT_LIMIT = 25
"""Files of such a person's message: more than Discord lets through today, so that a bot can be tried with many."""
EMBED_LIMIT = 10
EMBED_TOTAL_LIMIT = 6_000
_EMBED_LIMITS = {"title": 256, "description": 4_096}
_ROW_LIMIT = 5
_SETTABLE_FLAGS = MessageFlag.SUPPRESS_EMBEDS | MessageFlag.EPHEMERAL | MessageFlag.SILENT | MessageFlag.COMPONENTS_V2
_ROW, _BUTTON, _SELECTS, _TEXT_INPUT = 1, 2, (3, 5, 6, 7, 8), 4
_LINK_STYLE = 5


@dataclass(slots=True)
class Reference:
    """The message a new one replies to."""

    message_id: int
    must_exist: bool = True


@dataclass(slots=True)
class Extras:
    """What a person's message can be besides text and files.

    Attributes:
        stickers: names.
        question: of a poll, with its answers.
        forwarded: the message it passes on.
    """

    stickers: list[str] = field(default_factory=list)
    question: str = ""
    answers: list[str] = field(default_factory=list)
    forwarded: Message | None = None


@dataclass(slots=True)
class Draft:
    """A checked message body. A field that is none was not sent, which matters when editing."""

    content: str | None = None
    embeds: list[Json] | None = None
    components: list[Json] | None = None
    flags: int | None = None
    tts: bool = False
    nonce: str | int | None = None
    enforce_nonce: bool = False
    allowed_mentions: Json | None = None
    reference: Reference | None = None
    uploads: list[Upload] = field(default_factory=list)
    extras: Extras = field(default_factory=Extras)
    kept_attachments: list[int] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be seen."""
        extras = self.extras.stickers or self.extras.question or self.extras.forwarded
        return not ((self.content or "").strip() or self.embeds or self.components or self.uploads or extras)


def read_draft(body: object, files: Mapping[int, Upload] | None = None, *, nitro: bool = False) -> Draft:
    """Check a message body.

    Args:
        body: the JSON value sent.
        files: uploads by the number in ``files[n]``.
        nitro: its author may write longer texts and send more files.

    Raises:
        ApiError: what Discord would answer (50035 with the field, 40005 for a file too large).
    """
    if not isinstance(body, dict):
        raise ApiError(400, 50109, "The request body contains invalid JSON.")
    files = files or {}
    file_limit = NITRO_ATTACHMENT_LIMIT if nitro else ATTACHMENT_LIMIT
    if len(files) > file_limit:
        raise invalid_form("attachments", "BASE_TYPE_MAX_LENGTH", f"Must be {file_limit} or fewer in length.")
    for upload in files.values():
        if len(upload.data) > ATTACHMENT_SIZE_LIMIT:
            raise ApiError(413, 40005, "Request entity too large")
    draft = Draft(
        content=_content(body, NITRO_CONTENT_LIMIT if nitro else CONTENT_LIMIT),
        embeds=_embeds(body.get("embeds")),
        components=_components(body.get("components")),
        flags=_flags(body.get("flags")),
        tts=bool(body.get("tts")),
        nonce=_nonce(body.get("nonce")),
        enforce_nonce=body.get("enforce_nonce") is True,
        allowed_mentions=_allowed_mentions(body.get("allowed_mentions")),
        reference=_reference(body.get("message_reference")),
    )
    _attach(draft, body.get("attachments"), files)
    if body.get("sticker_ids"):
        raise invalid_form("sticker_ids.0", "STICKER_NOT_FOUND", "Unknown sticker.")
    return draft


def require_content(draft: Draft) -> None:
    """Refuse a message nobody would see.

    Raises:
        ApiError: 50006.
    """
    if draft.is_empty:
        raise ApiError(400, 50006, "Cannot send an empty message")


def _content(body: Json, limit: int) -> str | None:
    if "content" not in body:
        return None
    content = body["content"]
    if content is None:
        return ""
    if not isinstance(content, str):
        raise invalid_form("content", "STRING_TYPE_CONVERT", "Could not interpret value as string.")
    if len(content) > limit:
        raise invalid_form("content", "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
    return content.strip()


def _nonce(value: object) -> str | int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str):
        raise invalid_form("nonce", "NONCE_TYPE_INVALID", "Nonce must be a string or an integer.")
    if len(value) > NONCE_LIMIT:
        raise invalid_form("nonce", "NONCE_TYPE_TOO_LONG", f"Must be {NONCE_LIMIT} or fewer in length.")
    return value


def _flags(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_form("flags", "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
    return value & _SETTABLE_FLAGS


def _reference(value: object) -> Reference | None:
    if value is None:
        return None
    message_id = parse_snowflake(value.get("message_id")) if isinstance(value, dict) else None
    if not isinstance(value, dict) or message_id is None:
        raise invalid_form("message_reference.message_id", "BASE_TYPE_REQUIRED", "This field is required")
    if value.get("type", 0) != 0:
        raise invalid_form("message_reference.type", "MESSAGE_REFERENCE_INVALID", "Forwarding is not offered here.")
    return Reference(message_id, must_exist=value.get("fail_if_not_exists", True) is not False)


def _allowed_mentions(value: object) -> Json | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_form("allowed_mentions", "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType.")
    for name in list_at("allowed_mentions.parse", value.get("parse")):
        if not isinstance(name, str) or name not in ("users", "roles", "everyone"):
            raise invalid_form("allowed_mentions.parse.0", "BASE_TYPE_CHOICES", "Value must be one of known kinds.")
        if value.get(name):
            raise invalid_form(
                "allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", f'parse:["{name}"] and {name}: [ids…]'
            )
    for name in ("users", "roles"):
        list_at(f"allowed_mentions.{name}", value.get(name))
    return value


def _embeds(value: object) -> list[Json] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > EMBED_LIMIT:
        raise invalid_form("embeds", "BASE_TYPE_MAX_LENGTH", f"Must be {EMBED_LIMIT} or fewer in length.")
    total = 0
    for index, embed in enumerate(value):
        if not isinstance(embed, dict):
            raise invalid_form(f"embeds.{index}", "MODEL_TYPE_CONVERT", "Must be a dictionary.")
        total += _embed_length(index, embed)
    if total > EMBED_TOTAL_LIMIT:
        raise invalid_form("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")
    return [{"type": "rich", **embed} for embed in value]


def _embed_length(index: int, embed: Json) -> int:
    path = f"embeds.{index}"
    footer, author = object_at(f"{path}.footer", embed.get("footer")), object_at(f"{path}.author", embed.get("author"))
    fields = objects_at(f"{path}.fields", embed.get("fields"))
    parts: list[tuple[str, object, int]] = [(n, embed.get(n), limit) for n, limit in _EMBED_LIMITS.items()]
    parts += [("footer.text", footer.get("text"), 2_048), ("author.name", author.get("name"), 256)]
    if len(fields) > 25:
        raise invalid_form(f"embeds.{index}.fields", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for number, item in enumerate(fields):
        parts += [
            (f"fields.{number}.name", item.get("name"), 256),
            (f"fields.{number}.value", item.get("value"), 1_024),
        ]
    for name, text, limit in parts:
        if text is not None and len(str(text)) > limit:
            raise invalid_form(f"embeds.{index}.{name}", "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
    return sum(len(str(text)) for _, text, _ in parts if text is not None)


def _components(value: object) -> list[Json] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise invalid_form("components", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    rows = [component for component in value if isinstance(component, dict) and component.get("type") == _ROW]
    if len(rows) > _ROW_LIMIT:
        raise invalid_form("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    seen = set[str]()
    for index, component in enumerate(value):
        _check_component(f"components.{index}", component, seen)
    return list(value)


def _check_component(path: str, component: object, seen: set[str]) -> None:
    if not isinstance(component, dict) or not isinstance(component.get("type"), int):
        raise invalid_form(f"{path}.type", "BASE_TYPE_REQUIRED", "This field is required")
    children = list_at(f"{path}.components", component.get("components"))
    kind = component["type"]
    if kind == _ROW and not 1 <= len(children) <= _ROW_LIMIT:
        raise invalid_form(f"{path}.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    if kind == _BUTTON:
        _check_button(path, component)
    if kind in _SELECTS and not 1 <= len(objects_at(f"{path}.options", component.get("options")) or [{}]) <= 25:
        raise invalid_form(f"{path}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    custom_id = component.get("custom_id")
    if custom_id is not None or kind in (*_SELECTS, _TEXT_INPUT):
        _check_custom_id(path, custom_id, seen)
    inner = [component[key] for key in ("accessory", "component") if component.get(key)]
    for index, child in enumerate([*children, *inner]):
        _check_component(f"{path}.components.{index}", child, seen)


def _check_button(path: str, button: Json) -> None:
    if button.get("style") == _LINK_STYLE:
        if not button.get("url"):
            raise invalid_form(f"{path}.url", "BASE_TYPE_REQUIRED", "A url is required")
    elif button.get("custom_id") is None:
        raise invalid_form(f"{path}.custom_id", "BASE_TYPE_REQUIRED", "A custom id is required")
    if not button.get("label") and not button.get("emoji"):
        raise invalid_form(f"{path}.label", "BUTTON_COMPONENT_LABEL_REQUIRED", "A label or an emoji is required")
    if len(text_at(f"{path}.label", button.get("label"))) > 80:
        raise invalid_form(f"{path}.label", "BASE_TYPE_BAD_LENGTH", "Must be between 0 and 80 in length.")


def _check_custom_id(path: str, custom_id: object, seen: set[str]) -> None:
    if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= 100:
        raise invalid_form(f"{path}.custom_id", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if custom_id in seen:
        raise invalid_form(
            f"{path}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
        )
    seen.add(custom_id)


def _attach(draft: Draft, listed: object, files: Mapping[int, Upload]) -> None:
    if listed is None:
        draft.uploads = [files[number] for number in sorted(files)]
        return
    if not isinstance(listed, list):
        raise invalid_form("attachments", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    draft.kept_attachments = []
    named = set[int]()
    for index, item in enumerate(listed):
        number = parse_snowflake(item.get("id")) if isinstance(item, dict) else None
        if number is None:
            raise invalid_form(f"attachments.{index}.id", "BASE_TYPE_REQUIRED", "This field is required")
        if number not in files:
            draft.kept_attachments.append(number)
            continue
        upload = files[number]
        named.add(number)
        draft.uploads.append(
            Upload(item.get("filename") or upload.filename, upload.data, upload.content_type, item.get("description"))
        )
    draft.uploads += [files[number] for number in sorted(files) if number not in named]
