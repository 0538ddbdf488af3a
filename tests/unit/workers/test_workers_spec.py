"""No request and no policy can widen a worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.policy import WorkerPolicy
from gateway.workers.spec import WorkerFolders, build_command, build_spec, docker_config, spec_hash
from shared.errors import Invalid
from shared.gatewayclient.models import WorkerRequest

SESSION = "11111111-2222-4333-8444-555555555555"
FOLDERS = WorkerFolders(
    group=Path("/s/nanoclaw/groups/g"),
    logs=Path("/s/nanoclaw/groups/g/logs"),
    shared=Path("/s/nanoclaw/groups/global"),
    session=Path("/s/nanoclaw/data/sessions/g/.claude"),
    socket=Path("/r/w/abc"),
)

requests = st.builds(
    WorkerRequest,
    group=st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True),
    session_id=st.uuids().map(str),
    resume=st.booleans(),
    model=st.from_regex(r"[A-Za-z0-9._:/\[\]-]{0,80}", fullmatch=True),
    system_prompt=st.text(max_size=200),
    tools=st.lists(st.from_regex(r"[A-Za-z]{1,40}", fullmatch=True), max_size=4).map(tuple),
    host_tools=st.lists(st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True), max_size=3).map(tuple),
)
policies = st.builds(
    WorkerPolicy,
    max_workers=st.integers(1, 64),
    memory_mb=st.integers(256, 65_536),
    cpus=st.floats(0.01, 64),
    pids=st.integers(64, 8192),
    scratch_mb=st.integers(16, 16_384),
    uid_when_root=st.integers(1, 2**31 - 2),
    log_max_mb=st.integers(1, 1024),
)


def config_of(request: WorkerRequest, policy: WorkerPolicy, uid: int = 0, gid: int = 0) -> dict[str, Any]:
    spec = build_spec(
        request, policy, tenant="nanoclaw", worker_id="abc", instance="i", name_prefix="nanoclaw",
        folders=FOLDERS, uid=uid, gid=gid,
    )  # fmt: skip
    return docker_config(spec)


@given(requests, policies, st.integers(0, 2**31 - 2), st.integers(0, 2**31 - 2))
def test_no_request_or_policy_gives_a_worker_power(request, policy, uid, gid) -> None:
    config = config_of(request, policy, uid, gid)
    host = config["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert config["NetworkDisabled"] is True
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert "CapAdd" not in host
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert not {"PidMode", "UTSMode", "UsernsMode", "Devices", "DeviceRequests", "Binds", "VolumesFrom"} & set(host)
    assert host["IpcMode"] == "private"
    assert all(int(number) > 0 for number in config["User"].split(":"))
    assert host["Memory"] > 0
    assert host["MemorySwap"] == host["Memory"]
    assert host["PidsLimit"] > 0
    assert host["NanoCpus"] > 0
    assert host["RestartPolicy"]["Name"] == "no"
    assert {mount["Target"]: mount["ReadOnly"] for mount in host["Mounts"]} == {
        "/workspace/group": False,
        "/workspace/group/logs": True,
        "/workspace/global": request.group != "main",
        "/home/node/.claude": False,
        "/run/clawgate": True,
    }
    assert not any("docker" in mount["Source"] for mount in host["Mounts"])


@given(requests, policies)
def test_no_request_chooses_a_variable_of_the_environment(request, policy) -> None:
    names = {pair.split("=", 1)[0] for pair in config_of(request, policy)["Env"]}
    assert names == {
        "HOME", "PATH", "LANG", "TZ", "ANTHROPIC_UNIX_SOCKET", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "CLAUDE_CODE_MAX_RETRIES",
        "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY", "DISABLE_ERROR_REPORTING",
    }  # fmt: skip
    assert "CLAUDE_CODE_OAUTH_TOKEN=placeholder" in config_of(request, policy)["Env"]


@given(requests)
def test_no_value_of_a_request_can_be_read_as_an_option(request) -> None:
    fixed = {
        "--output-format", "--verbose", "--include-partial-messages", "--replay-user-messages", "--input-format",
        "--permission-mode", "--setting-sources",
        "--strict-mcp-config", "--system-prompt-snapshot=off", "-p", "stream-json", "bypassPermissions", "user,project",
        "/usr/local/bin/claude",
    }  # fmt: skip
    bound = ("--model=", "--tools=", "--disallowedTools=", "--append-system-prompt=", "--resume=", "--session-id=",
             "--mcp-config=", "--debug-file=/home/node/.claude/debug/latest")  # fmt: skip
    for word in build_command(request, debug_log=True):
        assert word in fixed or word.startswith(bound)


@given(requests)
def test_the_command_lines_own_web_tools_are_never_on(request) -> None:
    words = build_command(request.model_copy(update={"tools": (*request.tools, "WebFetch", "WebSearch")}))
    tools = next(word for word in words if word.startswith("--tools=")).removeprefix("--tools=").split(",")
    assert not {"WebFetch", "WebSearch"} & set(tools)
    assert "--disallowedTools=WebFetch,WebSearch" in words


def test_a_session_is_begun_or_resumed_and_host_tools_are_named() -> None:
    begun = build_command(WorkerRequest(group="g", session_id=SESSION, host_tools=("nanoclaw",)))
    assert f"--session-id={SESSION}" in begun
    servers = json.loads(next(w for w in begun if w.startswith("--mcp-config=")).removeprefix("--mcp-config="))
    assert servers == {"mcpServers": {"nanoclaw": {"type": "sdk", "name": "nanoclaw"}}}
    assert f"--resume={SESSION}" in build_command(WorkerRequest(group="g", session_id=SESSION, resume=True))


def test_a_prompt_too_long_for_a_command_line_is_refused_with_the_fix() -> None:
    with pytest.raises(Invalid, match=r"CLAUDE\.md"):
        build_command(WorkerRequest(group="g", session_id=SESSION, system_prompt="가" * 60_000))


def test_only_what_a_running_worker_cannot_change_decides_about_reuse() -> None:
    request, policy = WorkerRequest(group="g", session_id=SESSION, model="a"), WorkerPolicy()
    same = spec_hash(request, policy, "image")
    assert spec_hash(request.model_copy(update={"resume": True}), policy, "image") == same
    assert spec_hash(request.model_copy(update={"standby": True}), policy, "image") == same
    assert spec_hash(request, WorkerPolicy(idle_timeout_s=5, pause_after_s=1, standby_memory_mb=1), "image") == same
    assert spec_hash(request.model_copy(update={"model": "b"}), policy, "image") != same
    assert spec_hash(request, WorkerPolicy(memory_mb=512), "image") != same
    assert spec_hash(request, policy, "newer") != same
