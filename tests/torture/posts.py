"""1,000 stories of posts under random faults, lags and deaths (see tests/support/social_seeds.py)."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from shared.obs.log import configure_logging
from tests.support.social_seeds import run_seed


async def main() -> int:
    """Tell the stories; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    begun, states, wrong = time.monotonic(), Counter[str](), list[str]()
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory(prefix="clawgate-posts-") as folder:
            try:
                states += await run_seed(Path(folder), seed)
            except AssertionError as error:
                wrong.append(f"seed {seed}: {error}")
    took = time.monotonic() - begun
    sys.stdout.write(f"{options.seeds} seeds in {took:.0f} s: {dict(states)}, {len(wrong)} wrong\n")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    configure_logging("torture", level="ERROR")
    sys.exit(asyncio.run(main()))
