"""An estimate of a request's tokens without a tokeniser, which would stall every other call for long prompts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_CHARS_PER_TOKEN = 3.6
_WIDE_CHARS_PER_TOKEN = 1.1
_IMAGE_TOKENS = 1600
_PER_MESSAGE = 4
_TOOLS_OVERHEAD = {"claude": 346, "grok": 480}
_FACTORS = {"claude": 1.15, "grok": 1.03}
_BINARY = {"image", "document"}


def estimate_tokens(body: Mapping[str, Any]) -> int:
    """About how many input tokens an Anthropic Messages request is; at least 1.

    Overheads and factors of each family as copilot-api has them. Source: reference notes on count_tokens.
    """
    family = str(body.get("model", "")).split("-", 1)[0]
    text, images, turns = _measure([body.get("system"), body.get("messages"), body.get("tools")])
    tokens = text + images * _IMAGE_TOKENS + turns * _PER_MESSAGE
    if body.get("tools"):
        tokens += _TOOLS_OVERHEAD.get(family, 0)
    return max(1, math.ceil(tokens * _FACTORS.get(family, 1.0)))


def _measure(value: Any) -> tuple[float, int, int]:  # noqa: ANN401 - any JSON value
    text, images, turns = 0.0, 0, 0
    open_values: list[Any] = [value]
    while open_values:
        item = open_values.pop()
        if isinstance(item, str):
            text += _text_tokens(item)
        elif isinstance(item, list):
            open_values += item
        elif isinstance(item, dict):
            if item.get("type") in _BINARY:
                images += 1
                continue
            turns += "role" in item
            if "input_schema" in item:
                text += _text_tokens(json.dumps(item["input_schema"]))
            fields = {"cache_control", "type", "role", "id", "tool_use_id", "signature", "input_schema"}
            open_values += [part for key, part in item.items() if key not in fields]
        elif item is not None:
            text += 1
    return text, images, turns


def _text_tokens(text: str) -> float:
    narrow = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return narrow / _CHARS_PER_TOKEN + (len(text) - narrow) / _WIDE_CHARS_PER_TOKEN
