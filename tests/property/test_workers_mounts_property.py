"""No request reaches outside the allowlist: the decision is held against real folders and links."""

from __future__ import annotations

import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.workers.mounts import (
    BLOCKED_NAMES,
    Allowlist,
    MountRoot,
    MountsPolicy,
    MountWish,
    decide_mount,
    find_contested,
    grant,
)
from gateway.workers.spec import Mount
from shared.gatewayclient.models import WorkerMount

NAMES = (
    "a",
    "b",
    "notes",
    ".envoy",
    ".env",
    ".ssh",
    "credentials",
    "id_rsa.pub",
    "credentialsx",
    "state",
    "docker.sock",
)


@pytest.fixture(scope="module")
def world():
    """Two roots, one writable; Clawgate's state; a secret folder; links from the roots to everywhere."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        for name in ("open", "writable", "state/nanoclaw/groups/b", "outside/.ssh"):
            (base / name).mkdir(parents=True)
        for root in ("open", "writable"):
            for name in NAMES:
                (base / root / name / "inner").mkdir(parents=True)
            (base / root / "file.txt").write_text("x")
            (base / root / "to-state").symlink_to(base / "state" / "nanoclaw")
            (base / root / "to-outside").symlink_to(base / "outside")
            (base / root / "to-ssh").symlink_to(base / "outside" / ".ssh")
            (base / root / "to-writable").symlink_to(base / "writable")
            (base / root / "round").symlink_to(base / root / "round")
        yield base


steps = st.sampled_from(
    [
        *NAMES,
        "inner",
        "file.txt",
        "to-state",
        "to-outside",
        "to-ssh",
        "to-writable",
        "round",
        "..",
        ".",
        "none",
        "groups",
    ]
)
starts = st.sampled_from(
    ["open", "writable", "outside", "state", "", "/", "/proc/self", "/var/run/docker.sock", "/etc"]
)


@given(
    start=starts,
    path=st.lists(steps, max_size=4),
    read_only=st.booleans(),
    is_main=st.booleans(),
    group=st.sampled_from(["main", "a", "b"]),
    non_main_read_only=st.booleans(),
    only=st.sampled_from([(), ("a",)]),
)
@settings(max_examples=400, deadline=None)
def test_no_request_reaches_what_it_should_not(
    world, start, path, read_only, is_main, group, non_main_read_only, only
) -> None:
    policy = MountsPolicy(
        non_main_read_only=non_main_read_only,
        roots=(
            MountRoot(path=str(world / "open"), groups=only),
            MountRoot(path=str(world / "writable"), read_write=True, tenants=("nanoclaw",)),
        ),
    )
    allowlist = Allowlist.resolve(policy, protected=[world / "state"])
    host = str(Path(world / start, *path)) if path else str(world / start)
    mount = WorkerMount(host=host, name="x", read_only=read_only)
    for tenant in ("nanoclaw", "other"):
        wish = MountWish.look(tenant, group, mount)
        granted = grant([wish], allowlist, is_main=is_main)
        assert len(granted.notes) == 1 or granted.mounts
        for given_mount in granted.mounts:
            source = given_mount.source
            assert source == source.resolve(), "no link is left for the engine to follow"
            inside = [root for root in ("open", "writable") if source.is_relative_to(world / root)]
            assert inside
            assert not source.is_relative_to(world / "state")
            assert not (world / "state").is_relative_to(source)
            assert source.is_dir() or source.is_file()
            assert not any(fnmatchcase(part, name) for part in source.parts for name in BLOCKED_NAMES)
            if inside == ["open"]:
                assert given_mount.read_only
                assert not only or group in only
            else:
                assert tenant == "nanoclaw"
            if not given_mount.read_only:
                assert is_main or not non_main_read_only
                assert not read_only
            assert given_mount.target == "/workspace/extra/x"


def wish_for(path: Path, *, read_only: bool = True, name: str = "x") -> MountWish:
    return MountWish.look("nanoclaw", "main", WorkerMount(host=str(path), name=name, read_only=read_only))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".env", "blocked"),
        (".ssh", "blocked"),
        ("credentials", "blocked"),
        ("to-ssh", "blocked"),
        ("to-state", "never shown"),
        ("to-outside", "under no root"),
        ("none", "no such"),
        ("round", "no such"),
    ],
)
def test_a_refusal_says_why(world, name, reason) -> None:
    allowlist = Allowlist.resolve(
        MountsPolicy(roots=(MountRoot(path=str(world / "open")),)), protected=[world / "state"]
    )
    decision = decide_mount(wish_for(world / "open" / name), allowlist, is_main=True)
    assert not decision.allowed
    assert reason in decision.reason


@pytest.mark.parametrize("name", [".envoy", "credentialsx", "notes", "file.txt"])
def test_a_name_that_only_looks_like_a_blocked_one_is_fine(world, name) -> None:
    allowlist = Allowlist.resolve(MountsPolicy(roots=(MountRoot(path=str(world / "open")),)))
    assert decide_mount(wish_for(world / "open" / name), allowlist, is_main=True).allowed


def test_more_names_can_be_blocked_and_without_a_root_everything_is_refused(world) -> None:
    policy = MountsPolicy(blocked=("NOTE*",), roots=(MountRoot(path=str(world / "open")),))
    assert not decide_mount(wish_for(world / "open/notes"), Allowlist.resolve(policy), is_main=True).allowed
    assert not decide_mount(wish_for(world / "open/a"), Allowlist.resolve(MountsPolicy()), is_main=True).allowed


def test_a_folder_that_holds_something_protected_is_refused_as_a_whole(world) -> None:
    allowlist = Allowlist.resolve(MountsPolicy(roots=(MountRoot(path="/"),)), protected=[world / "state"])
    for path in (world, Path("/"), Path("/run"), Path("/proc")):
        assert not decide_mount(wish_for(path), allowlist, is_main=True).allowed


def test_a_path_that_another_agent_could_swap_for_a_link_is_refused_meanwhile() -> None:
    writable, inner = Mount(Path("/srv/w"), "/workspace/extra/w"), Mount(Path("/srv/w/in"), "/workspace/extra/i", True)
    assert find_contested(inner, running=[writable], starting=[]) == writable
    assert find_contested(writable, running=[], starting=[inner]) == inner
    assert find_contested(writable, running=[inner], starting=[]) is None
    assert find_contested(writable, running=[writable], starting=[writable]) is None
    assert find_contested(inner, running=[Mount(Path("/srv/w"), "/x", True)], starting=[]) is None


def test_two_mounts_of_one_name_are_not_laid_over_each_other(world) -> None:
    allowlist = Allowlist.resolve(MountsPolicy(roots=(MountRoot(path=str(world / "open")),)))
    granted = grant([wish_for(world / "open/a"), wish_for(world / "open/b")], allowlist, is_main=True)
    assert [mount.source.name for mount in granted.mounts] == ["a"]
    assert "same name" in granted.notes[0]
