"""What a worker may ask the Messages API for: words, and nothing that the provider would do for it elsewhere.

A worker has no network; what it may read of the web is decided by ``policies/egress.toml``. The provider could go
around that: it runs tools of its own (web search, web fetch, code), calls MCP servers, and fetches pictures and
documents by their address. Its servers would then carry out, with our credential, what the container cannot. So a
worker's request is known word for word where that matters, and what we looked at is written anew before it is sent: a
key that stands twice, or bytes that another parser reads differently, hide nothing.

What the real command line sends was recorded from version 2.1.330 and read from its program. Which tools are executed
by the caller is said by the provider's tool reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from shared.errors import Invalid
from shared.json_values import mapping

_FIELDS: Final = frozenset({
    "model", "messages", "system", "tools", "tool_choice", "metadata", "max_tokens", "stream", "thinking",
    "temperature", "top_p", "top_k", "stop_sequences", "cache_control", "context_management", "context_hint",
    "output_config", "output_format", "diagnostics", "fallbacks", "program_use_case_id", "service_tier",
})  # fmt: skip
"""Fields of a request. Not among them because a tariff does not know them: ``speed`` and ``inference_geo``."""

_ELSEWHERE: Final[Mapping[str, str]] = {
    "mcp_servers": "MCP servers that the provider calls",
    "container": "containers that the provider runs",
}
_CLIENT_TOOL: Final = re.compile(r"(bash|text_editor|memory|computer)_[0-9]{8}")
"""Tools of the provider's making that the caller executes; all others run on the provider's servers."""

_BLOCKS: Final = frozenset({
    "text", "thinking", "redacted_thinking", "tool_use", "tool_reference", "tool_removal", "search_result",
    "compaction", "fallback", "image", "document", "tool_result", "tool_addition",
})  # fmt: skip
_SOURCES: Final = frozenset({"base64", "text", "content"})
"""Content that is in the request itself; ``url`` is fetched by the provider, ``file`` is any upload of the account."""
_MOST_NESTED: Final = 8
"""Blocks in blocks: a picture in a document in a tool's result is three."""

BETAS: Final = frozenset({
    "claude-code", "oauth",
    "interleaved-thinking", "redact-thinking", "thinking-token-count", "thinking-resumption", "resumption",
    "thinking-display-updates", "thinking-binding-controls",
    "context-1m", "context-management", "context-hint", "compact",
    "effort", "task-budgets", "per-turn-control", "timing", "structured-outputs",
    "prompt-caching", "prompt-caching-scope", "prompt-caching-evict", "extended-cache-ttl", "cache-keepalive",
    "cache-diagnosis",
    "mid-conversation-system", "mid-conversation-system-clear-at", "mid-conversation-tool-changes", "inline-tools",
    "advanced-tool-use", "tool-search-tool", "fine-grained-tool-streaming", "token-efficient-tools",
    "server-side-fallback", "program-use-case-ids", "claude-code-side-query",
})  # fmt: skip
"""Features a worker may switch on, without their dates; each changes what the model says and reaches nobody."""

_DATED: Final = re.compile(r"([a-z0-9-]{1,60})-20[0-9]{2}-?[0-9]{2}-?[0-9]{2}")
_OWN_WAY: Final = "a worker has no network: use the tools web_fetch and web_search, which policies/egress.toml rules"
_SHOWN_CHARS: Final = 60


def is_harmless_beta(name: str) -> bool:
    """Whether a worker may switch on a feature, as the ``anthropic-beta`` header names it."""
    dated = _DATED.fullmatch(name)
    return dated is not None and dated[1] in BETAS


def worker_request(body: Mapping[str, Any]) -> bytes:
    """A worker's request as it is sent on.

    Args:
        body: of a Messages request.

    Raises:
        Invalid: it asks for something that would be done elsewhere, or for what is not known here; the detail names
            the place, in the provider's own words where the command line knows those and asks again without.
    """
    fields = dict(body)
    for name in body:
        if name in _ELSEWHERE and not body[name]:
            del fields[name]
        elif name in _ELSEWHERE:
            _refuse(name, f"{_ELSEWHERE[name]} are not for workers")
        elif name not in _FIELDS:
            raise Invalid(f"{_shown(name)}: Extra inputs are not permitted for a worker", code="model.worker_field")
    _look_at_tools(body.get("tools"))
    _look_at_content(body.get("system"), "system")
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Invalid("messages: must be a list of messages", code="model.body")
    for at, message in enumerate(messages):
        _look_at_content(message.get("content"), f"messages.{at}.content")
    try:
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, as JavaScript's strings may have it, can be written as an escape only.
        return json.dumps(fields, separators=(",", ":")).encode()
    except RecursionError:
        raise Invalid("the request is nested too deeply", code="model.body") from None


def _look_at_tools(tools: object) -> None:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise Invalid("tools: must be a list", code="model.body")
    for at, tool in enumerate(tools):
        _look_at_tool(tool, f"tools.{at}")


def _look_at_tool(tool: object, place: str) -> None:
    if not isinstance(tool, dict):
        raise Invalid(f"{place}: must be an object", code="model.body")
    kind = tool.get("type")
    if kind is None or kind == "custom" or (isinstance(kind, str) and _CLIENT_TOOL.fullmatch(kind)):
        return
    _refuse(f"{place}.type", f"the tool {_shown(kind)} runs on the provider's servers")


def _look_at_content(content: object, place: str, nested: int = 0) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise Invalid(f"{place}: must be text or a list of blocks", code="model.body")
    if nested > _MOST_NESTED:
        raise Invalid(f"{place}: blocks are nested too deeply", code="model.body")
    for at, block in enumerate(content):
        _look_at_block(block, f"{place}.{at}", nested)


def _look_at_block(block: object, place: str, nested: int) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(kind, str) or kind not in _BLOCKS:
        _refuse(f"{place}.type", f"blocks of type {_shown(kind)} are not for workers")
    match kind:
        case "image" | "document":
            source = mapping(block.get("source"))
            of = source.get("type")
            if not isinstance(of, str) or of not in _SOURCES:
                _refuse(f"{place}.source", f"a source of type {_shown(of)} is fetched by the provider; send the bytes")
            if of == "content":
                _look_at_content(source.get("content"), f"{place}.source.content", nested + 1)
        case "tool_result" | "search_result" | "compaction":
            _look_at_content(block.get("content"), f"{place}.content", nested + 1)
        case "tool_addition":
            added = mapping(block.get("tool"))
            if added.get("type") != "tool_reference" or "definition" in added:
                _look_at_tool(added.get("definition"), f"{place}.tool.definition")


def _refuse(place: str, why: str) -> NoReturn:
    raise Invalid(f"{place}: {why}; {_OWN_WAY}", code="model.worker_reach")


def _shown(value: object) -> str:
    return str(value)[:_SHOWN_CHARS]
