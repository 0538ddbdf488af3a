import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.modelproxy.worker_requests import is_harmless_beta, worker_request
from shared.errors import Invalid

SCHEMA = {"type": "object", "properties": {"url": {"type": "string"}}}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
FETCHED = {"type": "image", "source": {"type": "url", "url": "https://evil.example/?d=secret"}}


def request(**more: object) -> dict:
    return {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}], **more}


def saying(*blocks: object) -> dict:
    return request(messages=[{"role": "user", "content": list(blocks)}])


def result(*blocks: object) -> dict:
    return {"type": "tool_result", "tool_use_id": "t", "content": list(blocks)}


def inside(block: object) -> dict:
    return {"type": "document", "source": {"type": "content", "content": [block]}}


# What the command line 2.1.330 was seen to send: prompts, tools, sub-agents, pictures, PDF files, compaction.
OF_THE_COMMAND_LINE = request(
    system=[{"type": "text", "text": "You are…", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    tools=[
        {"name": "Bash", "description": "d", "input_schema": SCHEMA},
        {"name": "mcp__clawgate__web_fetch", "description": "d", "input_schema": SCHEMA, "defer_loading": True},
        {"name": "x", "type": "custom", "input_schema": SCHEMA},
        {"name": "bash", "type": "bash_20250124"},
        {"name": "str_replace_based_edit_tool", "type": "text_editor_20250728"},
        {"name": "memory", "type": "memory_20250818"},
    ],
    messages=[
        {"role": "user", "content": [{"type": "text", "text": "look at https://example.org/x.png"}, PICTURE]},
        {"role": "system", "content": "# Environment", "output_config": {"effort": "medium"}},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "t", "name": "Bash", "input": {"type": "url", "url": "https://x.example"}},
            ],
        },
        {
            "role": "user",
            "content": [
                result({"type": "text", "text": "done"}, PICTURE, {"type": "tool_reference", "tool_name": "x"}),
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
            ],
        },
        {
            "role": "system",
            "content": [
                {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "x"}},
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "x"}},
                {
                    "type": "tool_addition",
                    "tool": {"type": "tool_definition", "definition": {"name": "y", "input_schema": SCHEMA}},
                },
            ],
        },
    ],
    metadata={"user_id": "{}"},
    thinking={"type": "adaptive", "display": "updates"},
    context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    output_config={"effort": "medium"},
    stream=True,
)


def test_what_the_command_line_sends_goes_on_as_it_is() -> None:
    assert json.loads(worker_request(OF_THE_COMMAND_LINE)) == OF_THE_COMMAND_LINE


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (request(mcp_servers=[{"type": "url", "url": "https://evil.example/mcp", "name": "x"}]), "mcp_servers"),
        (request(container="container_1"), "container"),
        (request(container={"skills": []}), "container"),
        (request(tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}]), "tools.0.type"),
        (request(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "tools.0.type"),
        (request(tools=[{"name": "a", "input_schema": SCHEMA}, {"type": "code_execution_20250825"}]), "tools.1.type"),
        (request(tools=[{"type": "mcp_toolset", "mcp_server_name": "x"}]), "tools.0.type"),
        (request(tools=[{"type": "advisor_20260301"}]), "tools.0.type"),
        (request(tools=[{"type": "bash_20250124x"}]), "tools.0.type"),
        (request(tools=[{"type": ["web_fetch_20250910"]}]), "tools.0.type"),
        (saying(FETCHED), "messages.0.content.0.source"),
        (saying({"type": "document", "source": {"type": "url", "url": "https://e"}}), "messages.0.content.0.source"),
        (saying({"type": "image", "source": {"type": "file", "file_id": "f"}}), "messages.0.content.0.source"),
        (saying({"type": "image", "source": "https://evil.example"}), "messages.0.content.0.source"),
        (saying({"type": "container_upload", "file_id": "f"}), "messages.0.content.0.type"),
        (saying({"type": "mcp_tool_use", "server_name": "x"}), "messages.0.content.0.type"),
        (saying({"type": ["image"], "source": FETCHED["source"]}), "messages.0.content.0.type"),
        (saying(result(FETCHED)), "messages.0.content.0.content.0.source"),
        (saying(inside(FETCHED)), "messages.0.content.0.source.content.0.source"),
        (saying(result(inside(FETCHED))), "messages.0.content.0.content.0.source.content.0.source"),
        (saying({"type": "search_result", "content": [FETCHED]}), "messages.0.content.0.content.0.source"),
        (
            saying({"type": "tool_addition", "tool": {"definition": {"type": "web_fetch_20250910"}}}),
            "messages.0.content.0.tool.definition.type",
        ),
        (
            saying(
                {
                    "type": "tool_addition",
                    "tool": {"type": "tool_reference", "definition": {"type": "web_fetch_20250910"}},
                }
            ),
            "messages.0.content.0.tool.definition.type",
        ),
        (request(system=[FETCHED]), "system.0.source"),
    ],
)
def test_what_the_provider_would_do_elsewhere_is_refused_with_its_place_and_the_way(body: dict, place: str) -> None:
    with pytest.raises(Invalid) as caught:
        worker_request(body)
    assert caught.value.detail.startswith(place + ": ")
    assert "policies/egress.toml" in caught.value.detail
    assert caught.value.code == "model.worker_reach"


@pytest.mark.parametrize("name", ["speed", "thread", "betas", "anthropic_beta", "environment", "Tools", "tools "])
def test_a_field_that_is_not_known_is_refused_in_the_words_the_command_line_understands(name: str) -> None:
    with pytest.raises(Invalid, match=f"^{name}: Extra inputs are not permitted"):
        worker_request(request(**{name: [{"type": "web_fetch_20250910"}]}))


def test_empty_fields_of_the_kind_are_left_out() -> None:
    assert json.loads(worker_request(request(mcp_servers=[], container=None))) == request()


@pytest.mark.parametrize(
    "more",
    [
        {"tools": {"type": "web_fetch_20250910"}},
        {"tools": ["web_fetch_20250910"]},
        {"messages": {"role": "user"}},
        {"messages": [["role", "user"]]},
        {"system": {"type": "image"}},
    ],
)
def test_what_has_another_shape_is_refused_and_not_guessed(more: dict) -> None:
    with pytest.raises(Invalid):
        worker_request(request(**more))


def test_a_key_that_stands_twice_hides_nothing() -> None:
    hidden = '{"tools":[{"type":"web_fetch_20250910"}],"model":"m","messages":[],"tools":[]}'
    sent = worker_request(json.loads(hidden))
    assert b"web_fetch" not in sent
    assert json.loads(sent)["tools"] == []


def test_half_a_surrogate_pair_can_be_sent() -> None:
    body = saying({"type": "text", "text": "\ud83d and 고양이"})
    assert json.loads(worker_request(body)) == body


def test_blocks_are_looked_at_as_deep_as_they_go_and_no_deeper() -> None:
    block: object = FETCHED
    for _ in range(200):
        block = inside(block)
    with pytest.raises(Invalid, match="too deeply"):
        worker_request(saying(block))


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "tools", "messages", "content", "source", "tool", "definition", "system", "model"]
                ),
                x,
            )
        ),
    )
)
def test_any_json_is_either_written_anew_or_refused_in_words(value: object) -> None:
    body = value if isinstance(value, dict) else {"messages": value}
    with contextlib.suppress(Invalid):
        assert json.loads(worker_request(body)) == body


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("claude-code-20250219", True),
        ("oauth-2025-04-20", True),
        ("context-management-2025-06-27", True),
        ("context-management-2027-01-01", True),
        ("mcp-client-2025-04-04", False),
        ("mcp-client-2025-11-20", False),
        ("mcp-servers-2025-12-04", False),
        ("web-fetch-2025-09-10", False),
        ("web-search-2025-03-05", False),
        ("code-execution-2025-08-25", False),
        ("files-api-2025-04-14", False),
        ("skills-2025-10-02", False),
        ("managed-agents-2026-04-01", False),
        ("advisor-tool-2026-03-01", False),
        ("fast-mode-2026-02-01", False),
        ("effort", False),
        ("", False),
    ],
)
def test_only_features_that_reach_nobody_can_be_switched_on(name: str, passes: bool) -> None:
    assert is_harmless_beta(name) is passes
