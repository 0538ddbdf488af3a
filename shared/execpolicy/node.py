"""What a node command line would do. A person sees a program before it runs; files and standard input never run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.execpolicy.models import Finding
from shared.execpolicy.node_options import DENIED, HARMLESS_FLAGS, HARMLESS_VALUES, INFORMATION, PROGRAM
from shared.execpolicy.shell import Word

_REACH = re.compile(
    r"child_process|\bprocess\b|\brequire\b|\bimport\b|\bmodule\b|\bglobalThis\b|\bFunction\b|\beval\b|\bfetch\b|"
    r"\bfs\b|\bnet\b|\bhttps?\b|\bdgram\b|\bworker_threads\b|\bvm\b|\bconstructor\b|\bbinding\b|WebAssembly|\\[ux]"
)


def judge_node(words: Sequence[Word], denied_flags: Sequence[str]) -> list[Finding]:
    """Look at the words after ``node``.

    Args:
        words: its arguments.
        denied_flags: the operator's; they hold with ``_`` for ``-`` and with ``=`` too, as node reads them.
    """
    denied = {_normal(flag) for flag in denied_flags}
    findings: list[Finding] = []
    rest = iter(words)
    has_program = has_answer = False
    for word in rest:
        text = word.text
        name = _normal(text.partition("=")[0])
        if text == "--" or not text.startswith("-") or text == "-":
            break
        if name in denied:
            findings.append(Finding("deny", "denied-flag", f"{name} is denied by policies/exec.toml"))
        elif name in PROGRAM:
            program = next(rest, None) if "=" not in text else Word(text.partition("=")[2])
            has_program = True
            findings.append(_judge_program(program, text))
        elif name in INFORMATION:
            has_answer = True
        elif why := DENIED.get(name):
            findings.append(Finding("deny", "node-option", f"{name} is refused: it {why}"))
        elif not _is_harmless(name, text):
            findings.append(Finding("deny", "node-unknown-option", f"node has no option {text[:40]!r} that we know"))
    else:
        if not (has_program or has_answer):
            findings.append(Finding("deny", "node-stdin", "without -e node runs what comes in on standard input"))
        return findings
    if not has_program:
        reason = f"node would run {word.text[:60]!r}, whose content nobody has seen: pass the program with -e"
        findings.append(Finding("deny", "node-script", reason))
    return findings


def _normal(option: str) -> str:
    """Node reads ``--a_b`` as ``--a-b``."""
    return option if not option.startswith("--") else "--" + option[2:].replace("_", "-")


def _is_harmless(name: str, text: str) -> bool:
    return (name in HARMLESS_FLAGS and "=" not in text) or (name in HARMLESS_VALUES and "=" in text)


def _judge_program(program: Word | None, option: str) -> Finding:
    if program is None:
        return Finding("deny", "node-stdin", f"{option} needs a program")
    found = sorted({match[0] for match in _REACH.finditer(program.text)})
    if found:
        reason = f"the program reaches for {', '.join(found[:6])}: a person has to read it"
        return Finding("ask", "node-program-reach", reason)
    return Finding("ask", "node-program", "a person has to read the program once; for reading JSON use json_query")
