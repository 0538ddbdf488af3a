"""Whether anything grows with use: ten thousand messages through the whole product, with the memory seen on the way.

    python -m tests.bench.growth [--messages N] [--rooms N]

Not a part of `make bench`, since it takes a quarter of an hour. Rooms write in bursts, so that messages of one burst
are answered together, as people's are.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from gateway.sandbox.options import SandboxOptions
from gateway.sandbox.run import Sandbox, running_sandbox
from shared.config.paths import Paths
from shared.obs.log import configure_logging
from tests.bench.many import Rooms, until_answered, worker_memory_mb
from tests.support.plenty import lift_budgets

_BURST = 10
"""Messages a room writes at once."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was held after so many messages.

    Attributes:
        answered: messages so far.
        pss_mb: proportional set size by process, MB.
        files: open descriptors of all processes.
        tasks: threads of all processes.
        workers_mb: largest container, MB; 0 without containers.
        state_mb: state directory on disk, MB.
    """

    answered: int
    pss_mb: dict[str, float]
    files: int
    tasks: int
    workers_mb: float
    state_mb: float

    def line(self) -> str:
        """For people."""
        parts = ", ".join(f"{name} {value:.0f}" for name, value in self.pss_mb.items())
        return (
            f"{self.answered:6} messages · {sum(self.pss_mb.values()):.0f} MB ({parts}) · {self.files} descriptors · "
            f"{self.tasks} threads · largest worker {self.workers_mb:.0f} MB · state {self.state_mb:.1f} MB"
        )


async def _sample(sandbox: Sandbox, state: Path, answered: int) -> Sample:
    processes = {str(one["name"]): psutil.Process(int(one["pid"] or 0)) for one in sandbox.supervisor.status()}
    with_containers = sandbox.ready["engine"] == "docker"
    workers = await worker_memory_mb(sandbox) if with_containers else []
    return Sample(
        answered,
        {name: process.memory_full_info().pss / 1e6 for name, process in processes.items()},
        sum(process.num_fds() for process in processes.values()),
        sum(process.num_threads() for process in processes.values()),
        max(workers, default=0.0),
        sum(file.stat().st_size for file in state.rglob("*") if file.is_file()) / 1e6,
    )


async def grow(messages: int, rooms: int) -> list[Sample]:
    """Have so many messages answered, and sample ten times on the way."""
    samples = []
    with tempfile.TemporaryDirectory(prefix="clawgate-growth-") as folder:
        state = Path(folder) / "s"
        options = SandboxOptions.parse(state=state, port_base=0, quiet=True)
        lift_budgets(Paths.resolve(state))
        async with running_sandbox(options) as sandbox:
            places = Rooms(sandbox, rooms, name="grow")
            every = max(1, messages // 10)
            answered, due, start = 0, every, time.monotonic()
            while answered < messages:
                for number in range(_BURST):
                    for room in places.ids:
                        await places.say(room, f"grow {answered} {number}")
                answered += _BURST * rooms
                await until_answered(sandbox, answered)
                sandbox.models.requests.clear()  # the emulator's own log would be all that grows
                if answered >= due:
                    due += every
                    samples.append(await _sample(sandbox, state, answered))
                    print(f"{time.monotonic() - start:6.0f} s  {samples[-1].line()}", flush=True)
    return samples


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rooms", type=int, default=5)
    options = parser.parse_args()
    configure_logging("bench", level="ERROR")
    samples = asyncio.run(grow(min(options.messages, 100_000), max(1, min(options.rooms, 50))))
    if len(samples) > 1:
        first, last = sum(samples[0].pss_mb.values()), sum(samples[-1].pss_mb.values())
        added = (last - first) / (samples[-1].answered - samples[0].answered) * 1000
        print(f"growth after the first sample: {last - first:+.1f} MB in all, {added:+.2f} MB a thousand messages")


if __name__ == "__main__":
    main()
