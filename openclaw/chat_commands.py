"""Carries out what people order in a chat, whether as a slash command or as text."""

from __future__ import annotations

from openclaw.approvals.answers import DiscordAnswers
from openclaw.chat_settings import choose
from openclaw.chat_words import CHAT_COMMANDS, ChatCommand
from openclaw.protocol.methods.sessions import reset_session
from openclaw.services import Services
from openclaw.sessions import discord_session
from shared.channels.base import InboundMessage
from shared.channels.inbox import Inbox


class ChatCommands:
    """Every command; who may give it was decided before.

    Args:
        inbox: says what waits.
        answers: takes ``/approve``, for which a list of its own counts.
    """

    def __init__(self, services: Services, inbox: Inbox, answers: DiscordAnswers) -> None:
        self._services = services
        self._inbox = inbox
        self._answers = answers

    async def carry_out(self, command: ChatCommand, message: InboundMessage) -> str:
        """Do it; returns what the person is told. Repeating it changes nothing more."""
        key = discord_session(message.chat, message.chat_kind)
        match command.name:
            case "new" | "reset":
                await reset_session(self._services, key)
                return "A new session begins."
            case "stop":
                stopped = await self._services.runs.abort(key, None, "stop")
                return "Stopped." if stopped else "Nothing is running here."
            case "approve":
                return await self._answers.on_words(command.rest, message.sender)
            case "status":
                return await self._status(key, message)
            case "usage":
                return self._usage(key)
            case "queue":
                told = await choose(
                    self._services.sessions, key, "queue", command.rest, self._services.policy.queue.mode
                )
                return told if command.rest else f"{await self._queue(message)} {told}"
            case "think":
                return await choose(self._services.sessions, key, "think", command.rest, "off")
            case "activation":
                return await self._activation(key, command.rest, message)
            case "compact":
                return await self._services.runs.compact(key)
            case "whoami":
                return self._whoami(key, message)
            case "model" | "models":
                return await self._choose_model(key, command.rest) if command.rest else self._models(key)
            case _:
                return _help()

    async def _status(self, key: str, message: InboundMessage) -> str:
        services = self._services
        report = services.discord()
        jobs = await services.cron.status("")
        uptime_s = (services.clock.now() - services.started_at).total_seconds()
        return "\n".join(
            [
                f"**{services.policy.agent.name}**, up for {_span(uptime_s)}, Discord {report.status.state}",
                self._models(key),
                self._usage(key),
                await self._queue(message),
                f"Runs in all sessions: {services.runs.active_count}. Scheduled jobs: {jobs['jobs']}.",
            ]
        )

    def _usage(self, key: str) -> str:
        row = self._services.sessions.get(key)
        if row is None:
            return "This conversation is new."
        used = f"{row.input_tokens:,} tokens in, {row.output_tokens:,} out"
        return f"This conversation: {used}; {row.context_tokens:,} in its context."

    async def _queue(self, message: InboundMessage) -> str:
        waiting = await self._inbox.count_waiting(message.chat)
        return f"{waiting} message(s) wait here." if waiting else "Nothing waits here."

    async def _activation(self, key: str, wanted: str, message: InboundMessage) -> str:
        if message.chat_kind == "dm":
            return "In a direct message I answer everything."
        return await choose(self._services.sessions, key, "activation", wanted, "discord.guilds")

    def _whoami(self, key: str, message: InboundMessage) -> str:
        sender = message.sender
        may = "You may decide about commands." if self._answers.may_answer(sender) else "You may not approve commands."
        return f"You are {sender.name} (Discord user id {sender.id}). This conversation is `{key}`. {may}"

    async def _choose_model(self, key: str, wanted: str) -> str:
        if wanted.lower() in ("default", "off"):
            await self._services.sessions.patch(key, {"model": None})
            return f"This conversation has no model of its own any more. {self._models(key)}"
        refs = self._services.runs.loop.models.refs
        found = next((ref for ref in refs if wanted.lower() in (ref.lower(), ref.rpartition("/")[2].lower())), None)
        if found is None:
            choices = ", ".join(f"`{ref}`" for ref in refs)
            return f"I do not know the model `{wanted[:80]}` here. Choose one of {choices}, or `default`."
        await self._services.sessions.patch(key, {"model": found})
        return f"From now on `{found}` is asked first in this conversation."

    def _models(self, key: str) -> str:
        row = self._services.sessions.get(key)
        own = row.settings.get("model") if row is not None else None
        refs = list(dict.fromkeys([*([own] if own else []), *self._services.runs.loop.models.refs]))
        last = f" The last answer here came from `{row.model}`." if row is not None and row.model else ""
        return f"Models: {', then '.join(f'`{ref}`' for ref in refs)}.{last}"


def _help() -> str:
    lines = [f"`/{name}` {description}" for name, description in CHAT_COMMANDS.items()]
    return "\n".join(["Mention me and write what you want. Commands, also as text:", *lines])


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2]) or "less than a minute"
