"""``python -m shared.lifecycle.probe NAME``: exit 0 while a process of ours answers; the health check of containers."""

from __future__ import annotations

import sys

from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.lifecycle.control import call

_PATIENCE_S = 4.0


def main(argv: list[str]) -> int:
    """Ask a process how it is over its control socket."""
    try:
        answer = call(Paths.resolve().control_socket(argv[0]), "status", timeout_s=_PATIENCE_S)
    except GatewayError as error:
        sys.stdout.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(f"{answer.get('summary', 'up')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
