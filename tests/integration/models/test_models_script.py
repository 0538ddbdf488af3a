import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox.models.conversations import from_chat, from_messages, from_responses
from gateway.sandbox.script import Call, Conversation, Refuse, Say, Script, Stall, Turn, person_text
from shared.errors import ConfigError


def talk(*texts: str, tools: tuple[str, ...] = (), upstream: str = "claude", model: str = "m") -> Conversation:
    turns = []
    for text in texts:
        turns += [Turn("user", text), Turn("assistant", "ok")]
    return Conversation(upstream, model, "", tuple(turns[:-1]), tools)


def said(steps: list) -> str:
    return "".join(step.text for step in steps if isinstance(step, Say))


def answer(text: str, **more: object) -> str:
    return said(Script().answer(talk(text, **more)))


def wrapped(*texts: str) -> str:
    inner = "\n".join(f'<message sender="owner" time="2026-01-01T09:00:00+09:00">{text}</message>' for text in texts)
    return f"<messages>\n{inner}\n</messages>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", "echo: hello"),
        ("@J hello", "echo: hello"),
        ("<@123> <@!45>, hello", "echo: hello"),
        (wrapped("before", "@J a &lt;b&gt; &amp; &quot;c&quot;"), 'echo: a <b> & "c"'),
        ("<system-reminder>\nread me\n</system-reminder>\n" + wrapped("hi"), "echo: hi"),
        ("!say  good morning ", "good morning"),
        (wrapped("@J !say x"), "x"),
        ("owner: !say x", "x"),
        ("[Reply to J: earlier]\n!say x", "x"),
        ("note: this stays", "echo: note: this stays"),
        ("!unknown thing", "echo: !unknown thing"),
        ("!tool Bash {}", "tool Bash is not offered (offered: none)"),
        ("!slow 2", "chunk 1 chunk 2 "),
        ("", "echo: "),
    ],
)
def test_the_answer_follows_from_the_text(text: str, expected: str) -> None:
    assert answer(text) == expected


@given(st.text(max_size=200))
def test_every_text_has_an_answer_in_pieces_that_join_to_it(text: str) -> None:
    steps = Script().answer(talk(text, tools=("Bash",)))
    assert steps
    if not person_text(Turn("user", text)).startswith(("!", "[")) and ": !" not in text:
        assert said(steps) == f"echo: {person_text(Turn('user', text))}"


@given(st.integers(0, 20_000))
def test_a_long_answer_has_exactly_the_length_asked_for(length: int) -> None:
    assert len(answer(f"!long {length}")) == length


def test_history_is_proved_by_count_and_list() -> None:
    conversation = talk("one", wrapped("@J two"), "!count")
    assert said(Script().answer(conversation)) == "user turns: 3"
    assert said(Script().answer(talk("one", wrapped("@J two"), "!history"))) == "earlier user turns:\n1. one\n2. two"


def test_a_tool_is_called_and_its_result_reported() -> None:
    conversation = talk('!tool send_message {"text": "x"}', tools=("Bash", "mcp__host__send_message"))
    assert Script().answer(conversation) == [Call("mcp__host__send_message", {"text": "x"})]
    turns = (
        *conversation.turns,
        Turn("assistant", "", {"c1": "mcp__host__send_message"}),
        Turn("tool", "sent\n\n<system-reminder>\ntokens left\n</system-reminder>", call_id="c1"),
        Turn("user", "<system-reminder>be good</system-reminder>"),
    )
    after = Conversation("claude", "m", "", turns, conversation.tools)
    assert said(Script().answer(after)) == "tool mcp__host__send_message said: sent"


@pytest.mark.parametrize("tool", ["Bash", "exec"])
def test_a_command_goes_to_the_tool_that_runs_commands(tool: str) -> None:
    assert Script().answer(talk("!run ls -l", tools=("Read", tool))) == [Call(tool, {"command": "ls -l"})]


def test_a_failure_strikes_once_and_again_only_when_told() -> None:
    script = Script()
    for text, failures in (("!fail 429", 1), ("!fail 500 3", 3)):
        for _ in range(failures):
            assert isinstance(script.answer(talk(text))[0], Refuse)
        assert said(script.answer(talk(text))).startswith("recovered")
    for _ in range(5):
        assert script.answer(talk("!fail 529 always")) == [Refuse(529)]


def test_a_failure_can_be_meant_for_one_upstream() -> None:
    script = Script()
    assert script.answer(talk("!fail 429 always codex", upstream="codex")) == [Refuse(429)]
    assert said(script.answer(talk("!fail 429 always codex", upstream="copilot"))) == "answered by copilot (m)"


def test_a_stall_comes_before_the_words() -> None:
    steps = Script().answer(talk("!stall 2"))
    assert steps[0] == Stall(2)
    assert said(steps) == "stalled 2 s"


RULES = """
[[rule]]
match = "weather in (?P<city>\\\\w+)"
reply = "It rains in {city} ({count}, {1}, {unknown})."
upstream = "codex"

[[rule]]
match = "^date$"
tool = "Bash"
args = { command = "date -d {text}", nested = ["{count}"] }
then = "It is {result}."
times = 1

[[rule]]
match = "broken"
fail = 503
headers = { retry-after = "7" }
body = { error = "x" }
times = 2

[[rule]]
match = "slowly"
reply = "abcdef"
chunks = 3
chunk_delay_s = 0.5
stall_s = 1
"""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    (tmp_path / "s.toml").write_text(RULES)
    return Script.load(tmp_path / "s.toml")


def test_a_rule_replies_by_template_on_its_upstream_only(script: Script) -> None:
    text = "weather in Seoul?"
    assert said(script.answer(talk(text, upstream="codex"))) == "It rains in Seoul (1, Seoul, {unknown})."
    assert said(script.answer(talk(text))) == f"echo: {text}"


def test_a_rule_calls_a_tool_and_speaks_of_its_result_and_counts_turns(script: Script) -> None:
    conversation = talk("date", tools=("Bash",))
    assert script.answer(conversation) == [Call("Bash", {"command": "date -d date", "nested": ["1"]})]
    turns = (*conversation.turns, Turn("assistant", "", {"c": "Bash"}), Turn("tool", "Monday", call_id="c"))
    assert said(script.answer(Conversation("claude", "m", "", turns, ("Bash",)))) == "It is Monday."
    assert said(script.answer(talk("other", "date", tools=("Bash",)))) == "echo: date"


def test_a_failing_rule_counts_requests(script: Script) -> None:
    expected = Refuse(503, {"retry-after": "7"}, {"error": "x"})
    assert [script.answer(talk("broken"))[0] for _ in range(2)] == [expected, expected]
    assert said(script.answer(talk("broken"))) == "echo: broken"


def test_a_rule_sets_pieces_and_pauses(script: Script) -> None:
    assert script.answer(talk("slowly")) == [Stall(1), *(Say(part, 0.5) for part in ("ab", "cd", "ef"))]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("s.toml", "[[rule]]\nmatch = '('\nreply = 'x'", "rule.0.match"),
        ("s.toml", "[[rule]]\nmatch = 'x'", "needs reply"),
        ("s.toml", "[[rule]]\nreplay = 'x'", "rule.0.replay"),
        ("s.toml", "[[rule", "cannot be read"),
        ("s.json", "[]", "file"),
        ("missing.toml", None, "cannot be read"),
    ],
)
def test_a_bad_script_is_refused_with_file_and_key(tmp_path: Path, name: str, text: str | None, reason: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=name) as caught:
        Script.load(tmp_path / name)
    assert reason in caught.value.detail


def test_a_script_may_be_json(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"rule": [{"match": "a", "reply": "b"}]}))
    assert said(Script.load(tmp_path / "s.json").answer(talk("a"))) == "b"


def test_the_same_conversation_reads_the_same_in_all_three_formats() -> None:
    messages = {
        "model": "m",
        "system": [{"type": "text", "text": "sys"}],
        "tools": [{"name": "t"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "t", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "done"}]},
        ],
    }
    chat = {
        "model": "m",
        "tools": [{"type": "function", "function": {"name": "t"}}],
        "messages": [
            {"role": "system", "content": "sys"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "t"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ],
    }
    codex = {
        "model": "m",
        "instructions": "sys",
        "tools": [{"type": "function", "name": "t"}],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "function_call", "call_id": "c", "name": "t"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ],
    }
    expected = (Turn("user", "hi"), Turn("assistant", "", {"c": "t"}), Turn("tool", "done", call_id="c"))
    for conversation in (from_messages(messages), from_chat(chat), from_responses(codex)):
        assert (conversation.system, conversation.turns, conversation.tools) == ("sys", expected, ("t",))


KEYS = "messages input role content type text tools tool_calls function system user id name"
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["messages", "input", "tools", "system", "model"]), JSON))
def test_a_request_of_any_shape_is_a_conversation(body: dict) -> None:
    for parse in (from_messages, from_chat, from_responses):
        assert Script().answer(parse(body))
