"""openclaw.json is changed one value at a time: checked first, audited, backed up, never half written."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.cli import cli
from openclaw.config import OpenClawPolicy
from openclaw.config.changing import edit_config, setting, unsetting
from openclaw.config.editing import get_value, merge_patch, parse_path, parse_value, set_value, unset_value
from openclaw.config.files import Writer, audit_file, backup_file, render, write_config
from openclaw.config.issues import Place, dotted
from openclaw.config.masking import masked, masked_text, restored
from openclaw.config.sections.base import REDACTED
from openclaw.config.shape import is_secret, json_schema, takes_list
from openclaw.config.snapshot import Source
from openclaw.config.view import ui_hints
from shared.errors import Conflict, Invalid, NotFound, Unavailable

ME = Writer("operator", "test")


@pytest.fixture
def source(tmp_path):
    return Source.fixed(tmp_path, OpenClawPolicy())


# --- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("gateway.port", ("gateway", "port")),
        ("agents.list[0].id", ("agents", "list", "0", "id")),
        ('channels.discord.guilds["1000"].users', ("channels", "discord", "guilds", "1000", "users")),
        ("env[A.B]", ("env", "A.B")),
        (r"env.A\.B", ("env", "A.B")),
        (" gateway . port ", ("gateway", "port")),
    ],
)
def test_paths(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", ".", "a..b", "a[", "a[]", "a.", "__proto__.x", "a.constructor", "a[prototype]"])
def test_paths_that_are_none(text):
    with pytest.raises(Invalid):
        parse_path(text)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abc123_-.", min_size=1).filter(lambda part: part.strip()), min_size=1, max_size=5))
def test_a_path_reads_back_as_it_is_written(parts):
    assert parse_path(dotted(tuple(parts))) == tuple(parts)


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["wizard", "a", "b", "1", "20"]), min_size=1, max_size=4), JSON)
def test_what_was_set_is_what_is_got_and_unset_takes_it_back(parts, value):
    path = ("wizard", *parts)
    before = {"gateway": {"port": 1}}
    after = set_value(before, path, value)
    assert get_value(after, path) == value
    assert get_value(after, ("gateway", "port")) == 1
    assert before == {"gateway": {"port": 1}}
    with pytest.raises(NotFound):
        get_value(unset_value(after, path), path)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 65535), st.lists(st.integers(10**16, 10**19).map(str), max_size=3, unique=True))
def test_set_then_get_through_the_file(tmp_path_factory, port, users):
    source = Source.fixed(tmp_path_factory.mktemp("c"), OpenClawPolicy())
    edit_config(source, setting(("gateway", "port"), port), ME)
    edit_config(source, setting(("channels", "discord", "guilds", "123456789012345678", "users"), users), ME)
    snapshot = source.check().required()
    assert snapshot.policy.port == port
    assert list(snapshot.policy.discord.guilds["123456789012345678"].users) == users


def test_digits_mean_a_position_only_where_the_schema_has_a_list():
    assert not takes_list(("channels", "discord", "guilds"))
    assert takes_list(("channels", "discord", "allowFrom"))
    made = set_value({}, ("channels", "discord", "guilds", "123", "users", "0"), "7")
    assert made == {"channels": {"discord": {"guilds": {"123": {"users": ["7"]}}}}}
    with pytest.raises(Invalid, match="next position is 1"):
        set_value(made, ("channels", "discord", "guilds", "123", "users", "5"), "7")
    with pytest.raises(Invalid, match="nothing below"):
        set_value({"gateway": {"port": 1}}, ("gateway", "port", "x"), 1)


def test_values_as_typed():
    assert parse_value("{a: 1}", strict=False) == {"a": 1}
    assert parse_value("hello there", strict=False) == "hello there"
    with pytest.raises(Invalid, match="Failed to parse JSON5 value"):
        parse_value("hello there", strict=True)


@pytest.mark.parametrize(
    ("old", "patch", "new"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"c": None, "d": 3}}, {"a": 1, "b": {"d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        (
            {"l": [{"id": "x", "v": 1}, {"id": "y"}]},
            {"l": [{"id": "x", "w": 2}, {"id": "z"}]},
            {"l": [{"id": "x", "v": 1, "w": 2}, {"id": "y"}, {"id": "z"}]},
        ),
        ({"a": 1}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_merge_patch(old, patch, new):
    assert merge_patch(old, patch) == new


# --- writing ----------------------------------------------------------------------------------


def test_a_write_is_private_audited_and_leaves_five_backups(source):
    for port in range(1, 9):
        edit_config(source, setting(("gateway", "port"), port), ME)
    assert stat.S_IMODE(source.path.stat().st_mode) == 0o600
    found = [json.loads(backup_file(source.path, n).read_text())["gateway"]["port"] for n in range(5)]
    assert found == [7, 6, 5, 4, 3]
    assert not backup_file(source.path, 5).exists()
    lines = [json.loads(line) for line in audit_file(source.path).read_text().splitlines()]
    assert len(lines) == 8
    assert [line["hashBefore"] for line in lines[1:]] == [line["hashAfter"] for line in lines[:-1]]
    assert lines[-1]["changes"] == [{"path": "gateway.port", "before": 7, "after": 8}]
    assert (lines[-1]["who"], lines[-1]["how"]) == ("operator", "test")


def test_a_write_that_changes_nothing_writes_nothing(source):
    edit_config(source, setting(("gateway", "port"), 1), ME)
    assert not edit_config(source, setting(("gateway", "port"), 1), ME).changed
    assert not backup_file(source.path, 0).exists()


def test_secrets_stay_out_of_the_audit(source):
    edit_config(source, setting(("gateway", "auth"), {"token": "very-secret-token"}), ME)
    edit_config(source, setting(("hooks", "token"), "other-secret"), ME)
    text = audit_file(source.path).read_text()
    assert "very-secret" not in text
    assert "other-secret" not in text
    assert REDACTED in text


def test_variables_stay_as_written(source):
    source.path.write_text("{gateway: {auth: {token: '${OPENCLAW_GATEWAY_TOKEN}'}}}")
    edit_config(source, setting(("gateway", "port"), 5), ME)
    assert json.loads(source.path.read_text())["gateway"]["auth"]["token"] == "${OPENCLAW_GATEWAY_TOKEN}"


def test_who_did_not_see_the_last_write_is_told(source):
    write_config(source.path, "{}\n", base_hash=None, writer=ME)
    with pytest.raises(Conflict, match="config changed since last load"):
        write_config(source.path, "{ }\n", base_hash=None, writer=ME)
    assert source.path.read_text() == "{}\n"


@pytest.mark.parametrize("when", ["text", "audit"])
def test_a_full_disk_loses_nothing(source, monkeypatch, when):
    edit_config(source, setting(("gateway", "port"), 1), ME)
    edit_config(source, setting(("gateway", "port"), 2), ME)
    before = {path.name: path.read_bytes() for path in source.path.parent.iterdir() if path.is_file()}
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == (1 if when == "text" else 2):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match=r"No space left on device.*as it was"):
        edit_config(source, setting(("gateway", "port"), 3), ME)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in source.path.parent.iterdir() if path.is_file()} == before


def test_what_would_not_start_is_not_written(source):
    edit_config(source, setting(("gateway", "port"), 1), ME)
    before = source.path.read_bytes()
    for path, value in [(("gateway", "prot"), 1), (("gateway", "port"), "x"), (("tools", "exec", "security"), "full")]:
        with pytest.raises(Invalid, match="Config validation failed: "):
            edit_config(source, setting(path, value), ME)
    assert source.path.read_bytes() == before


def test_a_broken_file_is_mended_step_by_step(source):
    source.path.write_text("{bridge: {}, foo: 1, gateway: {port: 7}}")
    assert get_value(source.check().document.parsed, ("gateway", "port")) == 7
    with pytest.raises(Invalid):
        edit_config(source, setting(("gateway", "port"), 8), ME)
    left = edit_config(source, unsetting(("foo",), source.check().document), ME).left
    assert [issue.key for issue in left] == ["bridge"]
    edit_config(source, unsetting(("bridge",), source.check().document), ME)
    assert source.check().required().policy.port == 7


def test_a_file_that_is_no_json5_is_left_alone(source):
    source.path.write_text("{gateway: ")
    with pytest.raises(Invalid, match="mend the file by hand"):
        edit_config(source, setting(("gateway", "port"), 8), ME)
    assert source.path.read_text() == "{gateway: "


def test_what_is_included_is_taken_out_where_it_stands(source, tmp_path):
    (tmp_path / "g.json5").write_text("{port: 5}")
    source.path.write_text("{gateway: {$include: 'g.json5'}}")
    with pytest.raises(Invalid, match=r"stands in .*g\.json5:1"):
        edit_config(source, unsetting(("gateway", "port"), source.check().document), ME)
    edit_config(source, setting(("gateway", "port"), 6), ME)
    assert source.check().required().policy.port == 6


# --- secrets ----------------------------------------------------------------------------------


def test_secrets_are_hidden_by_schema_and_by_name():
    assert is_secret(("gateway", "auth", "token"))
    assert is_secret(("env", "vars", "ANY"))
    assert is_secret(("env", "ANY"))
    values = {
        "gateway": {"auth": {"token": "s1", "mode": "token"}},
        "channels": {"discord": {"token": "${DISCORD_BOT_TOKEN}"}, "telegram": {"botToken": "s2"}},
        "skills": {"entries": {"x": {"apiKey": "s3"}}},
        "env": {"FOO": "s4"},
        "agents": {"defaults": {"contextTokens": 5}},
    }
    hidden = masked(values)
    assert not any(secret in json.dumps(hidden) for secret in ("s1", "s2", "s3", "s4"))
    assert hidden["channels"]["discord"]["token"] == "${DISCORD_BOT_TOKEN}"
    assert hidden["agents"]["defaults"]["contextTokens"] == 5
    back, issues = restored(hidden, values, Place("f"))
    assert back == values
    assert issues == []


def test_the_raw_text_keeps_its_comments_and_loses_its_secrets():
    text = "{ // note\n gateway: {auth: {token: 'abc\"d'}}}"
    parsed = {"gateway": {"auth": {"token": 'abc"d'}}}
    assert "abc" not in masked_text(text, parsed)
    simple = masked_text("{ // note\n gateway: {auth: {token: 'abcd'}}}", {"gateway": {"auth": {"token": "abcd"}}})
    assert simple == f"{{ // note\n gateway: {{auth: {{token: '{REDACTED}'}}}}}}"


@pytest.mark.parametrize("written", ['"\\u0061bcd"', "'\\x61bcd'", '"ab\\\ncd"'])
def test_a_secret_is_hidden_however_it_is_written(written):
    text = f"{{// note\n gateway: {{auth: {{token: {written}}}, 'abcd': 1}}}}"
    shown = masked_text(text, {"gateway": {"auth": {"token": "abcd"}, "abcd": 1}})
    assert written not in shown
    assert REDACTED in shown


def test_a_mark_without_a_secret_behind_it_is_refused():
    _, issues = restored({"gateway": {"auth": {"token": REDACTED}}}, {}, Place("f"))
    assert [issue.path for issue in issues] == ["gateway.auth.token"]


def test_a_change_says_when_it_was_made_and_whether_remarks_were_lost(source):
    source.path.parent.mkdir(parents=True, exist_ok=True)
    source.path.write_text("{ // why\n gateway: {port: 5}, meta: {lastTouchedVersion: '1'}}")
    same = edit_config(source, setting(("gateway", "port"), 5), ME)
    assert (same.changed, same.comments_lost) == (False, False)
    assert "// why" in source.path.read_text(), "what changes nothing loses nothing"
    assert edit_config(source, setting(("gateway", "port"), 6), ME).comments_lost
    assert json.loads(source.path.read_text())["meta"]["lastTouchedVersion"] == "2026.2.26"
    assert not edit_config(source, setting(("gateway", "port"), 7), ME).comments_lost


# --- schema and hints ---------------------------------------------------------------------------


def test_the_schema_stands_alone_and_describes_what_validates(source):
    import jsonschema

    schema = json_schema()
    assert "$ref" not in json.dumps(schema)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    for text, valid in [("{}", True), ('{"gateway": {"port": 1}}', True), ('{"gateway": {"prot": 1}}', False)]:
        source.path.write_text(text)
        assert (source.check().snapshot is not None) == validator.is_valid(json.loads(text)) == valid


def test_every_field_has_a_hint():
    hints = ui_hints()
    assert len(hints) > 250
    assert hints["gateway.auth.token"]["sensitive"] is True
    assert hints["gateway.port"]["label"] == "Port"
    assert hints["gateway.port"]["placeholder"] == "18789"
    assert "advanced" not in hints["channels.discord.guilds.*.users"]
    assert "unused" in hints["hooks.path"]["tags"]
    roots = ("gateway.", "channels.", "agents.", "tools.")
    silent = [path for path, hint in hints.items() if path.startswith(roots) and not hint.get("help")]
    assert [path for path in silent if "unused" not in hints[path]["tags"] and path.count(".") == 1] == []


# --- commands -----------------------------------------------------------------------------------


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, ["config", *arguments], standalone_mode=False)
    found = 1 if result.exception else result.return_value or 0
    assert found == code, (result.output, result.exception)
    return result.output


def test_a_numeric_server_id_works_on_a_fresh_file(tmp_path):
    state = ["--state", str(tmp_path)]
    run("set", "channels.discord.guilds.123456789012345678.requireMention", "true", *state)
    assert run("get", "channels.discord.guilds.123456789012345678.requireMention", "--json", *state) == "true\n"
    shown = json.loads(run("get", "channels.discord.guilds", "--effective", "--json", *state))
    assert shown[0]["decidedBy"] == "openclaw.json"
    run("set", "gateway.bind", "lan", *state)
    assert "policies/openclaw.toml" in run("diff", "--effective", *state)
    assert "valid" in run("validate", *state)
    assert json.loads(run("diff", "--json", *state)) == [{"path": "gateway", "before": None, "after": {"bind": "lan"}}]
    run("unset", "gateway", *state)
    run("get", "gateway.bind", *state, code=1)
    run("set", "gateway.auth.token", "a-secret", *state)
    assert run("get", "gateway.auth.token", *state) == f"{REDACTED}\n"


def test_validate_says_what_a_start_would(tmp_path):
    (tmp_path / "openclaw").mkdir()
    (tmp_path / "openclaw/openclaw.json").write_text(render({"bogus": 1}))
    report = json.loads(run("validate", "--json", "--state", str(tmp_path), code=78))
    assert report["valid"] is False
    assert report["issues"][0]["line"] == 2
    assert json.loads(run("schema"))["type"] == "object"
