"""The decision: may this command run, must a person be asked, or is it refused. Pure, on the text alone."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from shared.execpolicy.curl import judge_curl
from shared.execpolicy.environment import judge_environment
from shared.execpolicy.models import Decision, Endpoint, ExecRequest, Finding, Verdict, stricter
from shared.execpolicy.node import judge_node
from shared.execpolicy.policy import ExecPolicy
from shared.execpolicy.programs import NEVER
from shared.execpolicy.shell import Word, read_command

_COVERED = Finding("allow", "covered", "every part of it is known to be harmless")


def decide_exec(request: ExecRequest, policy: ExecPolicy) -> Decision:
    """Decide on a command.

    The strictest finding decides. Whatever is denied here stays denied, whoever approved what before. Names are not
    resolved and files are not looked at: `shared.execpolicy.resolve` does that later and can only refuse.
    """
    reading = read_command(request.command)
    findings: list[Finding] = []
    endpoints: list[Endpoint] = []
    for words in reading.commands:
        judged, named = _judge_command(words, policy)
        findings += judged
        endpoints += named
    findings += judge_environment(request.env)
    if reading.problem:
        findings.append(Finding("deny", "not-plain", f"only one plain command can run, and {reading.problem}"))
    if request.cwd and not _is_plain_directory(request.cwd):
        findings.append(Finding("deny", "cwd", "the working directory must be a plain absolute path"))
    argv = None if reading.problem else tuple(word.text for word in reading.words)
    return _under(policy, _decision(findings, argv, endpoints))


def _judge_command(words: Sequence[Word], policy: ExecPolicy) -> tuple[list[Finding], list[Endpoint]]:
    if not words or not words[0].text:
        return [Finding("deny", "no-program", "it names no program")], []
    program, *arguments = words
    if not program.text.isascii() or program.globs:
        return [Finding("deny", "no-program", f"{program.text[:40]!r} is not a program's name")], []
    name = posixpath.basename(program.text)
    if problem := _judge_place(program.text, name, policy):
        return [problem], []
    if why := NEVER.get(name):
        return [Finding("deny", "program-refused", f"{name} is refused: {why}")], []
    findings = _judge_globs(name, arguments)
    if name not in policy.safe_bins:
        return [*findings, Finding("ask", "program-unlisted", f"{name} is not among the safe programs")], []
    denied = policy.denied_flags(name)
    if name == "curl":
        judged, endpoints = judge_curl(arguments, denied)
        return findings + judged, endpoints
    if name == "node":
        return findings + judge_node(arguments, denied), []
    findings += _judge_plain_flags(name, arguments, denied)
    return [*findings, Finding("ask", "program-no-profile", f"{name} has no profile that knows its options")], []


def _judge_place(text: str, name: str, policy: ExecPolicy) -> Finding | None:
    """A program is named bare, or by its plain path in a trusted directory."""
    if text == name:
        return None
    folder = posixpath.dirname(text)
    trusted = {directory.rstrip("/") for directory in policy.trusted_dirs}
    if folder in trusted and posixpath.normpath(text) == text:
        return None
    return Finding("deny", "program-place", f"{text[:80]} is not in a trusted directory: name the program alone")


def _judge_globs(name: str, arguments: Sequence[Word]) -> list[Finding]:
    """Unquoted characters that a shell would expand. A question mark in a URL is what people mean it to be."""
    for word in arguments:
        is_url = word.text.startswith(("http://", "https://"))
        globs = word.globs.replace("?", "") if is_url and name == "curl" else word.globs
        if globs:
            reason = f"{word.text[:60]!r} has an unquoted {globs[0]}, which a shell would expand: put quotes around it"
            return [Finding("ask", "shell-glob", reason)]
    return []


def _judge_plain_flags(name: str, arguments: Sequence[Word], denied: Sequence[str]) -> list[Finding]:
    """Denied flags of a program whose other options nobody described: as a word, with a value, in a cluster."""
    for word in arguments:
        for flag in denied:
            is_long = flag.startswith("--") and (word.text == flag or word.text.startswith(f"{flag}="))
            is_short = not flag.startswith("--") and word.text[:1] == "-" != word.text[1:2] and flag[1:] in word.text
            if is_long or is_short:
                return [Finding("deny", "denied-flag", f"{flag} of {name} is denied by policies/exec.toml")]
    return []


def _is_plain_directory(path: str) -> bool:
    return path.startswith("/") and "\0" not in path and posixpath.normpath(path) == (path.rstrip("/") or "/")


def _decision(findings: list[Finding], argv: tuple[str, ...] | None, endpoints: list[Endpoint]) -> Decision:
    verdict: Verdict = "allow"
    for finding in findings:
        verdict = stricter(verdict, finding.verdict)
    deciding = next((finding for finding in findings if finding.verdict == verdict), _COVERED)
    others = tuple(finding for finding in findings if finding is not deciding)
    return Decision(
        deciding.verdict, deciding.rule, deciding.reason, argv, (deciding, *others), tuple(dict.fromkeys(endpoints))
    )


def _under(policy: ExecPolicy, decision: Decision) -> Decision:
    """What the operator's general settings make of it."""
    if policy.security == "deny":
        return decision.tightened(Finding("deny", "security-deny", "policies/exec.toml lets no command run"))
    if policy.ask == "always" and decision.verdict == "allow":
        return decision.tightened(Finding("ask", "ask-always", "policies/exec.toml wants to be asked about everything"))
    if policy.ask == "off" and decision.verdict == "ask":
        return decision.tightened(Finding("deny", "ask-off", f"nobody is to be asked, and {decision.reason}"))
    return decision
