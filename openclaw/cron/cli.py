"""``openclaw cron``: scheduled jobs of the agent, through the gateway."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table
from shared.clock import SYSTEM_CLOCK
from shared.errors import Invalid

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TEXT_CHARS = 50


@click.group()
def cli() -> None:
    """Jobs that run at a time, every so often, or by a cron expression."""


@cli.command("status")
@target_options
@json_option
def cron_status(target: Target, *, as_json: bool) -> None:
    """Show whether the schedule runs, and what comes next."""
    found = target.request("cron.status", {})
    if as_json:
        print_json(found)
        return
    state = "runs" if found["enabled"] else "is switched off (cron.enabled)"
    click.echo(f"The schedule {state}: {found['jobs']} job(s), next {_time(found['nextWakeAtMs'])}")


@cli.command("list")
@click.option("--all", "show_all", is_flag=True, help="Disabled jobs, too.")
@click.option("--query", default="", help="Only jobs whose name, description or text has this.")
@click.option("--limit", type=click.IntRange(1, 200), default=200, show_default=True)
@target_options
@json_option
def cron_list(target: Target, query: str, limit: int, *, show_all: bool, as_json: bool) -> None:
    """List jobs, the next due first."""
    found = target.request("cron.list", {"includeDisabled": show_all, "query": query, "limit": limit})
    if as_json:
        print_json(found)
        return
    rows = [
        (
            job["id"],
            job["name"],
            _schedule(job["schedule"]),
            _time(job["state"].get("nextRunAtMs")) if job["enabled"] else "disabled",
            job["state"].get("lastRunStatus", "never ran"),
            job["sessionTarget"],
        )
        for job in found["jobs"]
    ]
    print_table(("ID", "NAME", "SCHEDULE", "NEXT", "LAST", "SESSION"), rows, empty="There is no job.")


def _job_options(function: Any) -> Any:  # noqa: ANN401 - click's
    for option in reversed(
        (
            click.option("--name", default=None, help="What people call the job."),
            click.option("--description", default=None, help="A longer description."),
            click.option("--at", "at", default=None, help="Once: an ISO time (UTC without an offset) or 20m, 3h, 2d."),
            click.option("--every", "every", default=None, help="Every so often: 30s, 10m, 1h, 1d."),
            click.option("--cron", "expression", default=None, help="Five fields, such as '0 9 * * 1-5'."),
            click.option("--tz", "zone", default=None, help="Time zone of --cron (default: cron.zone)."),
            click.option("--stagger", default=None, help="Spread --cron over this long: 30s, 5m."),
            click.option("--exact", is_flag=True, help="Begin at the very moment: no stagger."),
            click.option("--session", type=click.Choice(["main", "isolated"]), default=None, help="Where it runs."),
            click.option("--system-event", default=None, help="Tell the main session this text."),
            click.option("--message", default=None, help="Ask the agent this in a session of its own."),
            click.option("--model", default=None, help="provider/model for --message."),
            click.option("--timeout-seconds", type=float, default=None, help="Longest run of --message."),
            click.option(
                "--wake",
                type=click.Choice(["now", "next-heartbeat"]),
                default=None,
                help="When it begins.",
            ),
            click.option("--announce", is_flag=True, help="Post the answer in a chat."),
            click.option("--no-deliver", is_flag=True, help="Post the answer nowhere."),
            click.option("--webhook", default=None, help="Send the outcome to this https address."),
            click.option("--channel", default=None, help="For --announce: discord or last."),
            click.option("--to", default=None, help="For --announce: channel:<id> or user:<id>."),
            click.option("--best-effort-deliver", is_flag=True, help="An undelivered answer is no failure."),
            click.option("--delete-after-run", is_flag=True, help="Forget a job of --at after it ran well (default)."),
            click.option("--keep-after-run", is_flag=True, help="Keep it."),
        )
    ):
        function = option(function)
    return function


@cli.command("add")
@_job_options
@click.option("--disabled", is_flag=True, help="Add it without running it.")
@target_options
@json_option
def cron_add(target: Target, *, disabled: bool, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - the options
    """Add a job: what (--message or --system-event) and when (--at, --every or --cron)."""
    fields = _fields(given)
    if not fields.get("name"):
        raise Invalid("a job needs --name", code="cron.name")
    if "schedule" not in fields or "payload" not in fields:
        raise Invalid(
            "a job needs one of --at, --every, --cron and one of --message, --system-event", code="cron.incomplete"
        )
    _show(target.request("cron.add", fields | ({"enabled": False} if disabled else {})), as_json=as_json)


@cli.command("edit")
@click.argument("job_id")
@_job_options
@click.option("--enable", is_flag=True, help="Let it run again.")
@click.option("--disable", is_flag=True, help="Keep it without running it.")
@target_options
@json_option
def cron_edit(
    target: Target,
    job_id: str,
    *,
    enable: bool,
    disable: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - the options
) -> None:
    """Change what is named, and leave the rest."""
    patch = _fields(given)
    if enable or disable:
        patch["enabled"] = enable
    if not patch:
        raise Invalid("nothing is to be changed: name a new value", code="cron.patch")
    _show(target.request("cron.update", {"id": job_id, "patch": patch}), as_json=as_json)


@cli.command("enable")
@click.argument("job_id")
@target_options
@json_option
def cron_enable(target: Target, job_id: str, *, as_json: bool) -> None:
    """Let a job run again; its errors are forgotten."""
    _show(target.request("cron.update", {"id": job_id, "patch": {"enabled": True}}), as_json=as_json)


@cli.command("disable")
@click.argument("job_id")
@target_options
@json_option
def cron_disable(target: Target, job_id: str, *, as_json: bool) -> None:
    """Keep a job without running it."""
    _show(target.request("cron.update", {"id": job_id, "patch": {"enabled": False}}), as_json=as_json)


@cli.command("rm")
@click.argument("job_id")
@target_options
@json_option
def cron_rm(target: Target, job_id: str, *, as_json: bool) -> None:
    """Forget a job; its history stays for a while."""
    answer = target.request("cron.remove", {"id": job_id})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Removed {job_id}." if answer["removed"] else f"There is no job {job_id}.")


@cli.command("run")
@click.argument("job_id")
@click.option("--due", is_flag=True, help="Only if it is due.")
@target_options
@json_option
def cron_run(target: Target, job_id: str, *, due: bool, as_json: bool) -> None:
    """Start a job now, beside its schedule."""
    answer = target.request("cron.run", {"id": job_id, "mode": "due" if due else "force"})
    if as_json:
        print_json(answer)
    elif answer["ran"]:
        click.echo(f"Started. What comes of it: openclaw cron runs --id {job_id}")
    else:
        click.echo(f"Not started: {answer['reason']}")


@cli.command("runs")
@click.option("--id", "job_id", default=None, help="Only of this job.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@target_options
@json_option
def cron_runs(target: Target, job_id: str | None, limit: int, *, as_json: bool) -> None:
    """Show what came of the newest runs."""
    scope = {"scope": "job", "id": job_id} if job_id else {"scope": "all"}
    found = target.request("cron.runs", scope | {"limit": limit})
    if as_json:
        print_json(found)
        return
    rows = [
        (
            _time(run["runAtMs"]),
            run["jobName"],
            run["status"],
            f"{run['durationMs'] / 1000:.1f} s" if "durationMs" in run else "",
            run["deliveryStatus"],
            _short(run.get("error") or run.get("summary", "")),
        )
        for run in found["entries"]
    ]
    print_table(("AT", "JOB", "STATUS", "TOOK", "DELIVERY", "WHAT"), rows, empty="Nothing has run yet.")


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """The job's fields that the options name."""
    fields: dict[str, Any] = {key: given[key] for key in ("name", "description") if given[key] is not None}
    if (schedule := _asked_schedule(given)) is not None:
        fields["schedule"] = schedule
    if (payload := _asked_payload(given)) is not None:
        fields["payload"] = payload
    if given["session"]:
        fields["sessionTarget"] = given["session"]
    if given["wake"]:
        fields["wakeMode"] = given["wake"]
    if (delivery := _asked_delivery(given)) is not None:
        fields["delivery"] = delivery
    if given["delete_after_run"] or given["keep_after_run"]:
        fields["deleteAfterRun"] = not given["keep_after_run"]
    return fields


def _asked_schedule(given: dict[str, Any]) -> dict[str, Any] | None:
    named = [name for name in ("at", "every", "expression") if given[name] is not None]
    if len(named) > 1:
        raise Invalid("give one of --at, --every and --cron", code="cron.schedule")
    if not named:
        if given["zone"] or given["stagger"] or given["exact"]:
            raise Invalid("--tz, --stagger and --exact go with --cron", code="cron.schedule")
        return None
    if given["at"] is not None:
        return {"kind": "at", "at": _moment(given["at"])}
    if given["every"] is not None:
        return {"kind": "every", "everyMs": _span_ms("--every", given["every"])}
    schedule: dict[str, Any] = {"kind": "cron", "expr": given["expression"]}
    if given["zone"]:
        schedule["tz"] = given["zone"]
    if given["exact"]:
        schedule["staggerMs"] = 0
    elif given["stagger"]:
        schedule["staggerMs"] = _span_ms("--stagger", given["stagger"])
    return schedule


def _asked_payload(given: dict[str, Any]) -> dict[str, Any] | None:
    if given["system_event"] is not None and given["message"] is not None:
        raise Invalid("give one of --message and --system-event", code="cron.payload")
    if given["system_event"] is not None:
        return {"kind": "systemEvent", "text": given["system_event"]}
    more = {"model": given["model"], "timeoutSeconds": given["timeout_seconds"], "message": given["message"]}
    payload = {name: value for name, value in more.items() if value is not None}
    return {"kind": "agentTurn", **payload} if payload else None


def _asked_delivery(given: dict[str, Any]) -> dict[str, Any] | None:
    modes = [("announce", given["announce"]), ("none", given["no_deliver"]), ("webhook", given["webhook"])]
    named = [mode for mode, is_named in modes if is_named]
    if len(named) > 1:
        raise Invalid("give one of --announce, --no-deliver and --webhook", code="cron.delivery")
    to = given["webhook"] or given["to"]
    more = {"channel": given["channel"], "to": to, "bestEffort": given["best_effort_deliver"] or None}
    delivery = {name: value for name, value in more.items() if value is not None}
    if not named and not delivery:
        return None
    return {"mode": named[0] if named else "announce", **delivery}


def _moment(text: str) -> str:
    if re.fullmatch(r"[0-9]+(ms|s|m|h|d)", text):
        return (SYSTEM_CLOCK.now() + timedelta(milliseconds=_span_ms("--at", text))).isoformat()
    return text


def _span_ms(option: str, text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,12})(ms|s|m|h|d)", text.strip())
    if found is None:
        raise Invalid(f"{option} {text}: write a number and a unit, such as 30s, 10m, 1h or 1d", code="cron.span")
    return int(found[1]) * _UNITS[found[2]]


def _show(job: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    when = _time(job["state"].get("nextRunAtMs")) if job["enabled"] else "never, it is disabled"
    click.echo(f"{job['id']}: {job['name']}; {_schedule(job['schedule'])}; next run {when}")


def _schedule(schedule: dict[str, Any]) -> str:
    match schedule["kind"]:
        case "at":
            return f"at {schedule['at']}"
        case "every":
            return f"every {timedelta(milliseconds=schedule['everyMs'])}"
        case _:
            return f"cron {schedule['expr']}" + (f" ({schedule['tz']})" if "tz" in schedule else "")


def _time(ms: int | None) -> str:
    if ms is None:
        return "never"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_CHARS else f"{line[:_TEXT_CHARS]}…"
