"""A publication in words and as an answer; never "failed" while it may be online."""

from __future__ import annotations

from typing import assert_never

from gateway.notices.models import OwnerNotice
from gateway.social.models import OVER, Event, Job
from gateway.social.policy import PostingRule
from shared.gatewayclient.models import PostCard, PostInfo
from shared.social.models import HOSTED, TITLES, Content, Media
from shared.social.validate import text_length


def summary_of(job: Job) -> str:
    """One sentence that says how it stands and what comes next."""
    title = TITLES[job.network]
    match job.state:
        case "awaiting_approval":
            until = f" until {job.ask_until:%Y-%m-%d %H:%M} UTC" if job.ask_until else ""
            return f"waits for a person{until}: `clawgate posts approve {job.id}`"
        case "scheduled" | "queued":
            if job.detail:
                return f"waits: {job.detail}"
            return f"goes out at {title} at {job.due_at:%Y-%m-%d %H:%M} UTC"
        case "creating" | "processing" | "ready":
            return f"is being prepared at {title}" + (f" ({job.detail})" if job.detail else "")
        case "publishing":
            return "may be online, checking" if job.is_unknown else f"is being published at {title}"
        case "published":
            where = f"is online at {title}" + (f": {job.permalink}" if job.permalink else "")
            return f"{where} ({job.detail})" if job.error_code else where
        case "deleting":
            return f"is being deleted at {title}" + (f" ({job.detail})" if job.error_code else "")
        case "deleted":
            return f"was online at {title} and is deleted"
        case "needs_attention":
            return f"may be online at {title}; a person has to look: `clawgate posts resolve {job.id} --posted yes|no`"
        case "failed":
            return f"is not online at {title}: {job.detail} ({job.error_code})"
        case "rejected":
            return f"was not approved: {job.detail}"
        case "cancelled":
            return "was cancelled and is not online"
    assert_never(job.state)


def info_of(job: Job, *, is_new: bool = True, warnings: tuple[str, ...] = ()) -> PostInfo:
    """A job as callers see it."""
    length, limit = text_length(job.content)
    return PostInfo(
        id=job.id,
        tenant=job.tenant,
        group=job.group,
        network=job.network,
        account=job.account,
        kind=job.content.kind,
        text=job.content.text,
        media=tuple(_medium(media) for media in job.content.media),
        state=job.state,
        error_code=job.error_code,
        detail=job.detail,
        summary=summary_of(job),
        media_id=job.media_id,
        permalink=job.permalink,
        digest=job.digest,
        idempotency_key=job.idempotency_key,
        due_at=job.due_at,
        created_at=job.created_at,
        published_at=job.published_at,
        approved_by=job.approved_by,
        is_new=is_new,
        length=length,
        limit=limit,
        extras=_extras(job.content),
        thumbnails=thumbnails_of(job),
        warnings=warnings,
    )


def thumbnails_of(job: Job) -> tuple[int, ...]:
    """Numbers of the pictures that can be shown: videos are not, and after the end nothing is kept or fetched."""
    files = enumerate(job.content.files, start=1)
    return () if job.state in OVER else tuple(number for number, media in files if media.kind == "image")


def _medium(media: Media) -> str:
    if not media.hosted:
        return media.url
    converted = f", made from {media.source}" if media.source and not media.source.startswith(HOSTED) else ""
    return f"{media.kind} {media.name}{converted}"


def _extras(content: Content) -> dict[str, str]:
    named = {"answers": content.reply_to, "topic": content.topic_tag, "link": content.link}
    if content.cover is not None:
        named["cover"] = _medium(content.cover)
    if content.thumb_offset_ms is not None:
        named["cover"] = f"the moment {content.thumb_offset_ms / 1000:g} s after its beginning"
    if content.share_to_feed is not None:
        named["among the posts too"] = "yes" if content.share_to_feed else "no"
    for number, media in enumerate(content.media, start=1):
        named[f"marked in {number}"] = ", ".join(f"@{tag.username}" for tag in media.people)
    texts = {f"alternative text {number}": media.alt_text for number, media in enumerate(content.media, start=1)}
    return {name: value for name, value in (named | texts).items() if value}


def card_of(job: Job, rule: PostingRule | None) -> PostCard:
    """A job as its card shows it; without a place when nobody was asked."""
    places = rule.card_places if rule is not None and job.ask_until is not None else ()
    pictures = tuple(media.hosted for media in job.content.media if media.hosted and media.kind == "image")
    return PostCard(post=info_of(job), version=job.version, places=places, ask_until=job.ask_until, pictures=pictures)


def notice_of(job: Job, *, state_option: str = "") -> OwnerNotice | None:
    """What the owner has to be told of a job; None when nobody has to do anything.

    Args:
        job: as it is now.
        state_option: what commands need to mean this installation.
    """
    title, who = TITLES[job.network], job.tenant + (f"/{job.group}" if job.group else "")
    if job.state == "awaiting_approval":
        pictures = "".join(f"\npicture: {media.url}" for media in job.content.media)
        when = f"\nwanted for {job.due_at:%Y-%m-%d %H:%M} UTC" if job.due_at > job.created_at else ""
        text = (
            f"{who} wants to post at {title}:\n\n{job.content.text or '(no text)'}\n{pictures}{when}\n"
            f"yes: `clawgate posts approve {job.id}{state_option}`\nno: `clawgate posts reject {job.id}{state_option}`"
        )
        return OwnerNotice(f"post_waiting:{job.id}:{job.digest[:12]}", "post_waiting", text)
    if job.state == "needs_attention":
        look = f"look there, then: `clawgate posts resolve {job.id} --posted yes{state_option}` (or `no`)"
        text = f"A post of {who} may be online at {title}, and nobody can tell: {look}"
        return OwnerNotice(f"post_in_doubt:{job.id}:{job.version}", "post_in_doubt", text)
    return None


def history_of(events: list[Event]) -> list[dict[str, str]]:
    """A job's history for a person or a program."""
    return [
        {"at": event.at.isoformat(), "state": event.state, "code": event.code, "detail": event.detail}
        for event in events
    ]
