"""Running the product's processes as users other than root, where this machine's Python may be in root's home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.missing import missing, require_root

CHECKOUT = Path(__file__).parents[2]


def python_for_everybody() -> tuple[str, dict[str, str]]:
    """An interpreter that other users can start, and the environment with which it finds our packages.

    Where there is none the test ends: see `tests.support.missing`.
    """
    require_root("start processes as other users")
    for program in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        environment = {"PYTHONPATH": f"{CHECKOUT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
        check = [program, "-c", "import pydantic_core, shared.errors"]
        try:
            done = subprocess.run(
                check, check=False, user=65534, group=65534, extra_groups=[], env=environment, capture_output=True
            )
        except OSError:
            continue
        if done.returncode == 0:
            return program, environment
    return missing("no Python of this version can be started by other users, and the checkout may be closed to them")
