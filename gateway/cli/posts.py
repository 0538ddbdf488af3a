"""``clawgate posts``: post at Threads and Instagram, and stay in charge of what agents post."""

from __future__ import annotations

import re
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from shared.cli import json_option, paths_of, print_json, print_table, state_option

_ID = click.argument("post_id", metavar="ID")
_CALL_S = 150.0
_WORDS = 40
_TAG_HELP = "Marks somebody (Instagram), X and Y from 0 to 1: `ana@0.5,0.2`; in the second picture: `2:ana@0.5,0.2`."
_TAG = re.compile(r"(?:([0-9]{1,2}):)?@?([A-Za-z0-9._]{1,30})(?:@([0-9.]{1,8}),([0-9.]{1,8}))?")


@click.group()
def cli() -> None:
    """Post at Threads and Instagram exactly once; approve, stop and look after posts. Needs the running gateway."""


@cli.command()
@click.option("--tenant", required=True, help="Whose account posts.")
@click.option("--network", required=True, type=click.Choice(["threads", "instagram"]), help="Where.")
@click.option("--text", default="", help="The text or caption; `-` reads it from standard input.")
@click.option(
    "--image", "images", multiple=True, metavar="URL", help="Public address of a picture or video; several: carousel."
)
@click.option(
    "--file", "files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file."
)
@click.option("--story", is_flag=True, help="One picture or video as a story (Instagram).")
@click.option("--convert", is_flag=True, help="Make pictures the network refuses into JPEGs.")
@click.option("--alt", "alts", multiple=True, metavar="TEXT", help="Alternative text, in the order of the pictures.")
@click.option("--reply-to", default="", metavar="MEDIA_ID", help="The post it answers (Threads).")
@click.option("--topic", default="", help="The post's topic (Threads).")
@click.option("--link", default="", metavar="URL", help="Shown as a card under a text post (Threads).")
@click.option("--tag", "tags", multiple=True, metavar="NAME[@X,Y]", help=_TAG_HELP)
@click.option("--cover", default="", metavar="URL", help="A reel's cover: public address of a JPEG (Instagram).")
@click.option("--cover-at", type=click.IntRange(0, 3_600_000), metavar="MS", help="The reel's cover is this moment.")
@click.option("--share-to-feed/--reel-only", default=None, help="Whether a reel also shows among the posts.")
@click.option("--at", default="", metavar="TIME", help="When, with its zone: 2030-05-01T09:00+02:00. Default: now.")
@click.option("--idempotency-key", default=None, metavar="KEY", help="The same key and post is the same post, always.")
@click.option("--allow-duplicate", is_flag=True, help="The same post within 24 hours is meant.")
@click.option("--dry-run", is_flag=True, help="Check everything; keep and post nothing.")
@state_option
@json_option
def submit(
    tenant: str,
    network: str,
    text: str,
    images: tuple[str, ...],
    files: tuple[Path, ...],
    alts: tuple[str, ...],
    reply_to: str,
    topic: str,
    link: str,
    tags: tuple[str, ...],
    cover: str,
    cover_at: int | None,
    at: str,
    idempotency_key: str | None,
    state: Path | None,
    *,
    share_to_feed: bool | None,
    story: bool,
    convert: bool,
    allow_duplicate: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Hand in a post. It goes out at its time, after an approval where policy asks for one."""
    if len(alts) > len(images) + len(files):
        raise click.BadParameter("there are more alternative texts than pictures", param_hint="--alt")
    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    kept = [
        _ask(state, "posts_keep_file", tenant=tenant, path=str(file.resolve()), convert=convert)["url"]
        for file in files
    ]
    media: list[dict[str, Any]] = [
        {"url": url, "alt_text": alt, "people": []} for url, alt in zip_longest([*images, *kept], alts, fillvalue="")
    ]
    for tag in tags:
        number, person = _person(tag)
        if not 1 <= number <= len(media):
            raise click.BadParameter(f"{tag!r}: there is no picture {number}", param_hint="--tag")
        media[number - 1]["people"].append(person)
    content: dict[str, Any] = {
        "network": network,
        "text": text,
        "media": media,
        "reply_to": reply_to,
        "topic_tag": topic,
        "link": link,
        "story": story,
        "convert": convert,
        "cover": {"url": cover} if cover else None,
        "thumb_offset_ms": cover_at,
        "share_to_feed": share_to_feed,
    }
    request = {
        "content": content,
        "at": _moment(at) if at else None,
        "idempotency_key": idempotency_key,
        "allow_duplicate": allow_duplicate,
        "dry_run": dry_run,
    }
    answer = _ask(state, "posts_submit", tenant=tenant, request=request)
    if as_json:
        print_json(answer)
        return
    name = answer["id"] or "dry run"
    click.echo(f"{name}: {answer['summary']}" + ("" if answer["is_new"] else " (known already)"))
    for warning in answer["warnings"]:
        click.echo(f"note: {warning}")


@cli.command(name="list")
@click.option("--tenant", default="", help="Only this tenant's.")
@click.option("--only", "only", default="", metavar="STATE", help="Only posts in this state, such as needs_attention.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most so many.")
@state_option
@json_option
def list_(tenant: str, only: str, limit: int, state: Path | None, *, as_json: bool) -> None:
    """Show posts, the youngest first."""
    answer = _ask(state, "posts_list", tenant=tenant, only=only, limit=limit)
    if as_json:
        print_json(answer)
        return
    if answer["held_by"]:
        click.echo(f"All posting is held by {answer['held_by']}.")
    rows = [
        (
            post["id"],
            post["tenant"] + (f"/{post['group']}" if post["group"] else ""),
            post["network"],
            post["state"],
            post["due_at"][:16].replace("T", " "),
            post["error_code"] or None,
            _short(post["text"]),
        )
        for post in answer["posts"]
    ]
    head = ("ID", "WHO", "WHERE", "STATE", "DUE (UTC)", "CODE", "TEXT")
    print_table(head, rows, empty="There are no posts. To make one: `clawgate posts submit`.")


@cli.command()
@_ID
@state_option
@json_option
def show(post_id: str, state: Path | None, *, as_json: bool) -> None:
    """Show one post with its history."""
    post = _ask(state, "posts_show", id=post_id)
    if as_json:
        print_json(post)
        return
    click.echo(f"{post['id']} ({post['kind']}, {post['account']}) {post['summary']}\n")
    click.echo(post["text"] or "(no text)")
    for url in post["media"]:
        click.echo(f"with: {url}")
    if post["insights"]:
        figures = ", ".join(f"{name} {value}" for name, value in post["insights"].items() if name != "at")
        click.echo(f"{figures} ({post['insights']['at'][:16].replace('T', ' ')} UTC)")
    click.echo()
    rows = [(e["at"][:19].replace("T", " "), e["state"], e["code"] or None, e["detail"]) for e in post["history"]]
    print_table(("AT (UTC)", "STATE", "CODE", "DETAIL"), rows, empty="no history")


@cli.command()
@_ID
@click.option("--digest", default="", help="Only if it is still the post with this digest (see show --json).")
@state_option
@json_option
def approve(post_id: str, digest: str, state: Path | None, *, as_json: bool) -> None:
    """Let exactly this post go out at its time."""
    _told(_ask(state, "posts_approve", id=post_id, digest=digest), as_json=as_json)


@cli.command()
@_ID
@click.option("--reason", default="", help="Told to the agent that asked.")
@state_option
@json_option
def reject(post_id: str, reason: str, state: Path | None, *, as_json: bool) -> None:
    """Say no to a post that waits for approval."""
    _told(_ask(state, "posts_reject", id=post_id, reason=reason), as_json=as_json)


@cli.command()
@_ID
@click.option("--text", required=True, help="The new text; `-` reads it from standard input.")
@state_option
@json_option
def edit(post_id: str, text: str, state: Path | None, *, as_json: bool) -> None:
    """Give a post that has not begun another text. Whoever has to approve posts is asked again."""
    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    _told(_ask(state, "posts_edit", id=post_id, text=text), as_json=as_json)


@cli.command()
@_ID
@state_option
@json_option
def cancel(post_id: str, state: Path | None, *, as_json: bool) -> None:
    """Stop a post that is not published yet."""
    _told(_ask(state, "posts_cancel", id=post_id), as_json=as_json)


@cli.command()
@_ID
@click.argument("at", metavar="TIME")
@state_option
@json_option
def schedule(post_id: str, at: str, state: Path | None, *, as_json: bool) -> None:
    """Give a post that has not begun another TIME, with its zone: 2030-05-01T09:00+02:00."""
    _told(_ask(state, "posts_schedule", id=post_id, at=_moment(at)), as_json=as_json)


@cli.command()
@_ID
@click.option("--allow-duplicate", is_flag=True, help="Also if the same post was accepted again meanwhile.")
@state_option
@json_option
def retry(post_id: str, state: Path | None, *, allow_duplicate: bool, as_json: bool) -> None:
    """Try a failed post again, from the beginning."""
    _told(_ask(state, "posts_retry", id=post_id, allow_duplicate=allow_duplicate), as_json=as_json)


@cli.command()
@_ID
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@state_option
@json_option
def delete(post_id: str, state: Path | None, *, is_sure: bool, as_json: bool) -> None:
    """Take a published post offline, at Threads; Instagram has no call for it. Asks first."""
    post = _ask(state, "posts_show", id=post_id)
    if not is_sure:
        click.echo(f"{post['account']}: {_short(post['text'])}\n{post['permalink']}", err=True)
        click.confirm("Delete it at the network? That cannot be taken back", abort=True, err=True)
    _told(_ask(state, "posts_delete", id=post_id, digest=post["digest"]), as_json=as_json)


@cli.command()
@_ID
@click.option("--posted", required=True, type=click.Choice(["yes", "no"]), help="Whether you see it at the network.")
@click.option("--media-id", default="", help="Its id there, if you know it.")
@state_option
@json_option
def resolve(post_id: str, posted: str, media_id: str, state: Path | None, *, as_json: bool) -> None:
    """Settle a post of which nobody knows whether it is online. Look at the network first."""
    answer = _ask(state, "posts_resolve", id=post_id, posted=posted == "yes", media_id=media_id)
    _told(answer, as_json=as_json)


@cli.command()
@click.argument("url", metavar="URL")
@click.option("--tenant", default="", help="Whose app to ask with where the network wants one.")
@state_option
@json_option
def embed(url: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Show how a public post at URL is embedded in a page (oEmbed). The HTML is for showing, and holds a script."""
    answer = _ask(state, "posts_embed", url=url, tenant=tenant)
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["html"])


@cli.command()
@state_option
@json_option
def hold(state: Path | None, *, as_json: bool) -> None:
    """Hold every post of every tenant at once. What is in doubt is still looked into."""
    answer = _ask(state, "posts_hold")
    if as_json:
        print_json(answer)
    else:
        click.echo("all posting is held; let it go on with `clawgate posts release`")


@cli.command()
@state_option
@json_option
def release(state: Path | None, *, as_json: bool) -> None:
    """Let posting go on."""
    answer = _ask(state, "posts_release")
    if as_json:
        print_json(answer)
    elif answer["held_by"]:
        click.echo(f"still held by kill_switch in {answer['held_by']}")
    else:
        click.echo("posting goes on")


def _ask(state: Path | None, op: str, /, **params: Any) -> Any:  # noqa: ANN401 - the operation's own result
    from shared.lifecycle.control import call

    return call(paths_of(state).control_socket("gateway"), op, timeout_s=_CALL_S, **params)


def _told(post: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(post)
    else:
        click.echo(f"{post['id']}: {post['summary']}")


def _person(text: str) -> tuple[int, dict[str, Any]]:
    """The number of the picture, and who is marked in it where."""
    found = _TAG.fullmatch(text)
    try:
        place = {"x": float(found[3]), "y": float(found[4])} if found and found[3] else {}
    except ValueError:
        found = None
    if found is None:
        raise click.BadParameter(f"{text!r} is not like ana@0.5,0.2 or 2:ana@0.5,0.2", param_hint="--tag")
    return int(found[1] or 1), {"username": found[2], **place}


def _moment(text: str) -> str:
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} is not a time with its zone, such as 2030-05-01T09:00+02:00")
    return moment.isoformat()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"
