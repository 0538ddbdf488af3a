from tests.support.engine import docker_host

__all__ = ["docker_host"]
