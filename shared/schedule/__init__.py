"""When something is due: schedules as values, the next occurrence as a pure function, and what to do with missed ones.

Nothing here keeps state, reads a clock or waits; NanoClaw's tasks and OpenClaw's cron build their due loops on it.
"""

from shared.schedule.due import Due, MissedPolicy, decide_due
from shared.schedule.models import Cron, Interval, Once, Schedule, ScheduleKind
from shared.schedule.occurrences import next_after, smallest_gap
from shared.schedule.parse import parse_cron, parse_interval, parse_once, parse_schedule, stored_schedule

__all__ = [
    "Cron",
    "Due",
    "Interval",
    "MissedPolicy",
    "Once",
    "Schedule",
    "ScheduleKind",
    "decide_due",
    "next_after",
    "parse_cron",
    "parse_interval",
    "parse_once",
    "parse_schedule",
    "smallest_gap",
    "stored_schedule",
]
