"""A worker's socket says who it is: on this machine only the agent's group gets to it. Needs root."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.workers.folders import prepare_folders
from shared.config.paths import Paths
from shared.errors import Denied
from tests.support.missing import require_root
from tests.support.other_users import python_for_everybody

AGENT, NEIGHBOUR = 64111, 64112
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.fixture
def paths() -> Iterator[Paths]:
    with tempfile.TemporaryDirectory(prefix="clawgate-socket-") as made:
        Path(made).chmod(0o711)
        yield Paths(state=Path(made) / "s", runtime=Path(made) / "r")


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_only_the_agent_s_user_reaches_its_socket(paths: Paths, umask: int) -> None:
    program, _ = python_for_everybody()
    old = os.umask(umask)
    try:
        folder = paths.worker_dir("0" * 16)
        folder.mkdir(parents=True, mode=0o700)
        # As a mount the container has this folder alone; here the ones above it are opened to ask about it.
        for place in (paths.runtime, folder.parent):
            place.chmod(0o711)
        prepare_folders(paths, tenant="nanoclaw", group="g", worker_id="0" * 16, uid=AGENT, gid=AGENT)
    finally:
        os.umask(old)
    facts = folder.stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (0, AGENT, 0o710)
    with socket.socket(socket.AF_UNIX) as listening:
        place = paths.worker_socket("0" * 16)
        listening.bind(str(place))
        place.chmod(0o666)
        listening.listen()

        def connects(user: int) -> bool:
            done = subprocess.run(
                [program, "-c", CONNECT, str(place)],
                user=user,
                group=user,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0 or b"PermissionError" in done.stderr, done.stderr
            return done.returncode == 0

        assert connects(AGENT)
        assert not connects(NEIGHBOUR)


def test_a_parent_exchanged_while_a_folder_is_made_gives_nothing_away(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_root("hand folders over")
    outside = paths.state.parent / "etc"
    (outside / "g").mkdir(parents=True)
    paths.worker_dir("0" * 16).mkdir(parents=True)
    groups, make = paths.group("nanoclaw", "g").parent, os.mkdir

    def made(name: Any, *how: Any, **more: Any) -> None:  # the attacker is as quick as can be
        make(name, *how, **more)
        if Path(name).name == "g" and not groups.is_symlink() and (groups / "g").exists():
            groups.rename(groups.with_name("was"))
            groups.symlink_to(outside)

    monkeypatch.setattr(os, "mkdir", made)
    with pytest.raises(Denied, match="symbolic link"):
        prepare_folders(paths, tenant="nanoclaw", group="g", worker_id="0" * 16, uid=AGENT, gid=AGENT)
    assert (outside / "g").stat().st_uid == 0
    assert list((outside / "g").iterdir()) == []
