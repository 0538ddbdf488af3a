"""``make torture``: kill the sandbox's processes at random named places, again and again, and count what Discord shows.

Several channels ask at the same time; each round kills one process at one place, sometimes at its second or third
occurrence. In the end every question must have its answer exactly once, or be a visible dead letter with its note.
The same seed asks the same questions and kills at the same places; which process gets there first is up to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from shared.lifecycle.faultpoints import POINTS, VARIABLE
from tests.support.kill_bed import AFTER_ANOTHER, COLD, KillBed, fault_file, kill_bed, kind_for

CHANNELS = 3
ONCE = COLD | AFTER_ANOTHER | {"run.tool_done", "run.answer_shown", "run.failed"}
"""Places that a round may reach only once."""
_REACHED_S = 20.0


@dataclass
class Report:
    """What happened so far."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


async def one_round(bed: KillBed, chance: random.Random, report: Report, number: int) -> None:
    """Arm a place, ask in every channel, and see to it that somebody dies."""
    point = chance.choice(list(POINTS))
    first = "run.prompt_written" if point in AFTER_ANOTHER else point
    if point in COLD:
        bed.control("workers.stop_all")
    bed.arm(first, 1 if point in ONCE else chance.choice((1, 1, 1, 2, 3)))
    guild = bed.channel.guild_id or 0
    channels = bed.world.state.guild_channels(guild, threads=False)[:CHANNELS]
    round_asked = []
    for channel in channels:
        kind = kind_for(point) if channel is channels[0] else chance.choice(("ask", "ask", "say", "slow"))
        round_asked.append((kind, await bed.ask(kind, channel=channel)))
    report.asked += round_asked
    try:
        await bed.died(_REACHED_S)
        report.kills[first] += 1
        if point in AFTER_ANOTHER:
            bed.arm(point)
            await bed.died(_REACHED_S)
            report.kills[point] += 1
    except AssertionError:
        bed.file.unlink(missing_ok=True)  # its second or third occurrence did not come in this round
        report.missed[point] += 1
    for kind, word in round_asked:
        try:
            await bed.answered(kind, word, timeout_s=120)
        except AssertionError as error:
            report.wrong.append(f"round {number} ({point}): {error}")
    await bed.quiet(120)


async def torture(kills: int, seed: int, folder: Path) -> Report:
    """Run until so many processes were killed."""
    os.environ[VARIABLE] = str(fault_file(folder))
    chance, report, began, number = random.Random(seed), Report(), time.monotonic(), 0
    async with kill_bed(folder) as bed:
        guild = bed.world.state.guilds[bed.channel.guild_id or 0]
        bed.world.add_channel(guild, "torture")
        await bed.answered("ask", await bed.ask("ask"))
        while (done := report.kills.total()) < kills and len(report.wrong) < 20:
            number += 1
            await one_round(bed, chance, report, number)
            if number % 10 == 0:
                rate = (time.monotonic() - began) / max(1, report.kills.total())
                print(
                    f"{done} kills, {len(report.asked)} questions, {len(report.wrong)} wrong, {rate:.1f} s a kill",
                    flush=True,
                )
        report.wrong += [f"{word}: {fault}" for kind, word in report.asked if (fault := bed.fault_of(kind, word))]
        report.wrong += [f"dead letter: {dead}" for dead in bed.control("deadletters.list")]
    return report


def main() -> int:
    """The command; exit 1 when anything was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="random unless given; printed in any case")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}, {options.kills} kills", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clawgate-torture-") as folder:
        report = asyncio.run(torture(options.kills, seed, Path(folder)))
    for point in POINTS:
        print(
            f"  {point:<24} {report.kills[point]:>5} kills"
            + (f", {report.missed[point]} not reached" if report.missed[point] else "")
        )
    print(f"{report.kills.total()} kills, {len(report.asked)} questions, {time.monotonic() - began:.0f} s, seed {seed}")
    for line in report.wrong:
        print(f"WRONG {line}")
    print("nothing lost, nothing twice" if not report.wrong else f"{len(report.wrong)} wrong")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
