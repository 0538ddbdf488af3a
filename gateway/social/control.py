"""What ``clawgate posts`` asks of the running gateway."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.social.hosting.models import extension_of
from gateway.social.hosting.service import read_facts
from gateway.social.service import Social
from gateway.social.views import history_of, info_of
from shared.errors import Invalid
from shared.gatewayclient.models import PostRequest
from shared.lifecycle.control import Operation, required_text

_OPERATOR = "operator"
_LIST_MOST = 500


def operations(social: Social) -> dict[str, Operation]:
    """The operations by name, for the control socket's table; only the operator reaches it."""

    async def submit(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        try:
            request = PostRequest.model_validate(params.get("request"))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Invalid(f"{place}: {first['msg']}") from None
        return (await social.submit(required_text(params, "tenant"), "operator", request)).model_dump(mode="json")

    async def find_all(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        limit = params.get("limit", 50)
        jobs = await social.store.jobs(
            tenant=str(params.get("tenant") or ""),
            state=str(params.get("only") or ""),
            limit=max(1, min(_LIST_MOST, limit)) if isinstance(limit, int) else 50,
        )
        held_by = await social.store.held_by()
        if social.policy.kill_switch:
            held_by = "policies/social.toml"
        return {"held_by": held_by, "posts": [info_of(job).model_dump(mode="json") for job in jobs]}

    async def show(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        job, events = await social.find(required_text(params, "id"))
        shown = {**info_of(job).model_dump(mode="json"), "history": history_of(events), "insights": None}
        if (found := await social.store.figures(job.id)) is not None:
            shown["insights"] = {"at": found[0].isoformat(), **found[1]}
        return shown

    async def approve(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        job = await social.approve(required_text(params, "id"), by=_OPERATOR, digest=str(params.get("digest") or ""))
        return info_of(job).model_dump(mode="json")

    async def reject(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        job = await social.reject(
            required_text(params, "id"), by=_OPERATOR, reason=str(params.get("reason") or "")[:500]
        )
        return info_of(job).model_dump(mode="json")

    async def keep_file(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        path = Path(required_text(params, "path"))
        data = await asyncio.to_thread(_read, path, social.policy.media.max_file_bytes)
        is_other = params.get("convert") is True and not extension_of(read_facts(data))
        keep = social.host.keep_as_jpeg if is_other else social.host.keep
        return {"url": (await keep(required_text(params, "tenant"), path.name, data)).url}

    async def edit(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        text = params.get("text")
        if not isinstance(text, str):
            raise Invalid("text is missing")
        return info_of(await social.edit(required_text(params, "id"), text, by=_OPERATOR)).model_dump(mode="json")

    async def cancel(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return info_of(await social.cancel(required_text(params, "id"), by=_OPERATOR)).model_dump(mode="json")

    async def schedule(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        at = datetime.fromisoformat(required_text(params, "at"))
        return info_of(await social.schedule(required_text(params, "id"), at)).model_dump(mode="json")

    async def retry(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        job = await social.retry(required_text(params, "id"), allow_duplicate=params.get("allow_duplicate") is True)
        return info_of(job).model_dump(mode="json")

    async def resolve(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        posted = params.get("posted")
        if not isinstance(posted, bool):
            raise Invalid("posted is missing: yes or no")
        media_id = str(params.get("media_id") or "")
        job = await social.resolve(required_text(params, "id"), posted=posted, by=_OPERATOR, media_id=media_id)
        return info_of(job).model_dump(mode="json")

    async def delete(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        job = await social.delete(required_text(params, "id"), by=_OPERATOR, digest=str(params.get("digest") or ""))
        return info_of(job).model_dump(mode="json")

    async def hold(_params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        await social.hold(by=_OPERATOR)
        return {"held_by": _OPERATOR}

    async def release(_params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        await social.release()
        return {"held_by": "policies/social.toml" if social.policy.kill_switch else ""}

    return {
        "posts_submit": submit,
        "posts_list": find_all,
        "posts_show": show,
        "posts_approve": approve,
        "posts_reject": reject,
        "posts_keep_file": keep_file,
        "posts_edit": edit,
        "posts_cancel": cancel,
        "posts_schedule": schedule,
        "posts_retry": retry,
        "posts_resolve": resolve,
        "posts_delete": delete,
        "posts_hold": hold,
        "posts_release": release,
    }


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read by the gateway: {error.strerror}") from None
    if len(data) > limit:
        raise Invalid(f"{path} is larger than max_file_bytes in [media] of policies/social.toml")
    return data
