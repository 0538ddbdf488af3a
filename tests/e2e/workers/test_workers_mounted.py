"""A tenant that exchanges a group's folder for a link behind our back gets no worker that sees where it leads."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.workers.spec import LABEL
from shared.errors import Denied
from tests.support.worker_house import a_house

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("exchanged", ["group", "session", "shared"])
async def test_a_folder_exchanged_before_the_engine_mounts_it_ends_the_worker(
    docker_host, tmp_path, monkeypatch, exchanged: str
) -> None:
    async with a_house(tmp_path, docker_host) as house:
        outside = tmp_path / "outside"
        (outside / "logs").mkdir(parents=True)
        outside.chmod(0o777)
        place = {
            "group": house.paths.group("nanoclaw", "g"),
            "session": house.paths.group_session("nanoclaw", "g"),
            "shared": house.paths.group("nanoclaw", "global"),
        }[exchanged]
        start = house.engine.start

        async def exchanging(spec: Any, **how: Any) -> Any:
            place.rename(place.with_name("was"))
            place.symlink_to(outside)
            try:
                return await start(spec, **how)
            finally:  # so that whoever looks at the host afterwards finds nothing
                place.unlink()
                place.with_name("was").rename(place)

        monkeypatch.setattr(house.engine, "start", exchanging)
        with pytest.raises(Denied, match="was exchanged while a worker started") as refused:
            await house.lease("g")
        assert refused.value.code == "worker.mount_exchanged"
        assert await house.engine.find({f"{LABEL}instance": house.instance}) == []
        monkeypatch.undo()
        assert (await house.lease("g")).container, "and the next one starts"
