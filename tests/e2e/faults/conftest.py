import pytest

from tests.support.engine import docker_host

__all__ = ["docker_host"]


@pytest.fixture(autouse=True)
def _one_engine_for_all(docker_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
