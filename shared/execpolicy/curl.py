"""What a curl command line would do: its options in every spelling, its URLs, its data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.execpolicy.addresses import judge_url
from shared.execpolicy.curl_options import OPTIONS, SHORT, CurlOption, Kind, find_long
from shared.execpolicy.models import Endpoint, Finding
from shared.execpolicy.shell import Word

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[kKmMgGtTpP]|/[smhd])?")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HELP_CATEGORY = re.compile(r"[a-z]{1,20}")
_FRAMING_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade"})
"""Headers that say where a request goes or where it ends, instead of what it asks for."""
_CURL_GLOB = frozenset("[]{}")
_NEEDS_NO_URL = frozenset({"help", "version", "manual"})


@dataclass(frozen=True, slots=True)
class _Use:
    """One option as it stands on a command line.

    Attributes:
        is_off: written with ``--no-``.
    """

    option: CurlOption
    spelling: str
    value: Word | None = None
    is_off: bool = False


def judge_curl(words: Sequence[Word], denied_flags: Sequence[str]) -> tuple[list[Finding], list[Endpoint]]:
    """Look at the words after ``curl``.

    Args:
        words: its arguments.
        denied_flags: the operator's, short or long; they hold in every spelling.

    Returns:
        Everything that speaks against running it, and the hosts it names.
    """
    denied = {_long_of(flag) for flag in denied_flags}
    findings: list[Finding] = []
    endpoints: list[Endpoint] = []
    uses: list[_Use] = []
    urls: list[Word] = []
    for item in _scan(words):
        if isinstance(item, Finding):
            findings.append(item)
        elif isinstance(item, _Use):
            uses.append(item)
            findings += _judge_use(item, denied)
            if item.option.kind == "url" and item.value is not None:
                urls.append(item.value)
        else:
            urls.append(item)
    is_literal = _takes_brackets_literally(uses)
    if any(use.option.name == "help" for use in uses):
        urls = [word for word in urls if not _HELP_CATEGORY.fullmatch(word.text)]
    for url in urls:
        endpoint, problem = judge_url(url.text)
        findings += [problem] if problem else []
        endpoints += [endpoint] if endpoint else []
        if not is_literal and problem is None and _CURL_GLOB.intersection(url.text):
            reason = "curl makes many requests of [ ] and { } in a URL: add -g, or percent-encode them"
            findings.append(Finding("ask", "curl-url-range", reason))
    if not urls and not any(use.option.name in _NEEDS_NO_URL for use in uses):
        findings.append(Finding("ask", "curl-no-url", "it names no URL"))
    return findings, endpoints


def begins_anew(arguments: Sequence[str]) -> bool:
    """Whether a command line holds further requests with options of their own (``--next``)."""
    words = [Word(text) for text in arguments]
    return any(isinstance(item, _Use) and item.option.name == "next" for item in _scan(words))


def _takes_brackets_literally(uses: Sequence[_Use]) -> bool:
    """Whether ``-g`` holds for every URL: it ends at ``--next``, and ``--no-globoff`` takes it back."""
    spelled = [use for use in uses if use.option.name in {"globoff", "next"}]
    return bool(spelled) and all(use.option.name == "globoff" and not use.is_off for use in spelled)


def _long_of(flag: str) -> str:
    bare = flag.lstrip("-")
    return SHORT.get(bare, bare) if not flag.startswith("--") else bare


def _scan(words: Sequence[Word]) -> Iterator[_Use | Word | Finding]:
    """Options, URLs, and what cannot be read, in the order curl would see them."""
    rest = iter(words)
    options_ended = False
    for word in rest:
        text = word.text
        if options_ended or not text.startswith("-") or text == "-":
            yield word
        elif text == "--":
            options_ended = True
        elif not text.isascii() or word.globs:
            yield Finding("deny", "curl-unknown-option", f"the option {text[:40]!r} is not plain ASCII")
        elif text.startswith("--"):
            yield from _long(text, rest)
        else:
            yield from _cluster(text, rest)


def _long(text: str, rest: Iterator[Word]) -> Iterator[_Use | Finding]:
    name, equals, _ = text[2:].partition("=")
    found = find_long(name)
    if not isinstance(found, CurlOption):
        could = f" (it could be {', '.join(f'--{one}' for one in found[:4])})" if found else ""
        yield Finding("deny", "curl-unknown-option", f"curl has no option {text[:40]!r} that we know{could}")
        return
    value = next(rest, None) if found.takes_value and not equals else None
    yield _Use(found, f"--{found.name}", value, is_off=name.startswith("no-") and name != found.name)
    if equals:
        yield Finding("deny", "curl-unknown-option", f"curl takes no value after '=': write --{found.name} VALUE")
    elif name not in {found.name, f"no-{found.name}"}:
        yield Finding("ask", "curl-abbreviation", f"{text[:40]} is short for --{found.name}: write it out")
    if found.takes_value and value is None and not equals:
        yield Finding("ask", "curl-missing-value", f"--{found.name} needs a value")


def _cluster(text: str, rest: Iterator[Word]) -> Iterator[_Use | Finding]:
    """``-sSfo file`` and the like: flags, until one takes the rest of the word or the next word."""
    for position, letter in enumerate(text[1:], start=1):
        if letter not in SHORT:
            yield Finding("deny", "curl-unknown-option", f"curl has no option -{letter} that we know")
            return
        option = OPTIONS[SHORT[letter]]
        if not option.takes_value:
            yield _Use(option, f"-{letter}")
            continue
        attached = text[position + 1 :]
        value = Word(attached) if attached else next(rest, None)
        yield _Use(option, f"-{letter}", value)
        if value is None:
            yield Finding("ask", "curl-missing-value", f"-{letter} needs a value")
        return


def _judge_use(use: _Use, denied: set[str]) -> list[Finding]:
    option = use.option
    named = use.spelling if use.spelling.startswith("--") else f"{use.spelling} (--{option.name})"
    if option.name in denied:
        return [Finding("deny", "denied-flag", f"{named} is denied by policies/exec.toml")]
    if option.kind == "deny":
        why = option.why or "it reads or writes files, or takes the connection elsewhere"
        return [Finding("deny", "curl-option", f"{named} is refused: {why}")]
    if option.kind == "ask":
        why = option.why or "it is not among the options known to be harmless"
        return [Finding("ask", "curl-option", f"{named}: {why}")]
    check = _CHECKS.get(option.kind)
    if check is None or use.value is None:
        return []
    found = [Finding("ask", "curl-value", f"{use.spelling}: {why}")] if (why := check(use.value.text)) else []
    if use.value.globs and use.value.globs.strip("?"):
        reason = f"{use.spelling}: put quotes around the value, a shell would expand {use.value.globs[0]}"
        found.append(Finding("ask", "shell-glob", reason))
    return found


def _one_line(value: str) -> str:
    return "its value has a line break" if "\n" in value or "\r" in value else ""


def _number(value: str) -> str:
    return "" if _NUMBER.fullmatch(value) else "its value is not a number"


def _method(value: str) -> str:
    return "" if value.upper() in _METHODS else "its value is not a method that everyday calls use"


def _header(value: str) -> str:
    if value.startswith("@"):
        return "its value reads a file"
    name = re.split("[:;]", value, maxsplit=1)[0].strip().lower()
    if name in _FRAMING_HEADERS or name.startswith("proxy-"):
        return f"the header {name} changes where the request goes or where it ends"
    return _one_line(value)


def _body(value: str) -> str:
    return "its value reads a file: give the data itself, or use --data-raw" if value.startswith("@") else ""


def _encoded_body(value: str) -> str:
    name, equals, _ = value.partition("=")
    return "its value reads a file: write name=value" if "@" in name or (not equals and "@" in value) else ""


def _form(value: str) -> str:
    _, equals, content = value.partition("=")
    if not equals or content[:1] in {"@", "<", "(", ")", '"'}:
        return "its value reads a file or nests parts: use --form-string for plain text"
    return "its value sets part options: use --form-string for plain text" if ";" in content else ""


def _cookie(value: str) -> str:
    return _one_line(value) if "=" in value else "its value reads a file: write name=value"


def _format(value: str) -> str:
    if value.startswith("@") or "%output{" in value:
        return "its format reads or writes a file"
    return ""


_CHECKS: Mapping[Kind, Callable[[str], str]] = {
    "text": _one_line,
    "number": _number,
    "method": _method,
    "header": _header,
    "body": _body,
    "encoded-body": _encoded_body,
    "form": _form,
    "cookie": _cookie,
    "format": _format,
}
