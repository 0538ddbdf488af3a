"""Reading a command with a real shell grammar, and refusing whatever a shell would do beyond passing words on.

What comes out is executed as an argument list. So a reading that differs from a shell's can surprise, but never run
anything that was not shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

COMMAND_LIMIT_BYTES = 100_000
"""Linux refuses one argument of 128 KiB; nobody can review that much anyway."""

_ANSI_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_GLOB = frozenset("*?[]")
_WORD_NODES = frozenset({"word", "raw_string", "string", "ansi_c_string", "concatenation", "number"})


class NotPlain(Exception):
    """The text is more than one command with literal words; the message says what it is, for a person."""


@dataclass(frozen=True, slots=True)
class Word:
    """One literal word.

    Attributes:
        text: after quotes and backslashes were taken away.
        globs: unquoted characters a shell would expand (``* ? [ ] ~ { }``), in order.
    """

    text: str
    globs: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says.

    Attributes:
        commands: every command found anywhere in it, as far as its words are literal.
        problem: why the text is not one plain command; empty when it is.
    """

    commands: tuple[tuple[Word, ...], ...]
    problem: str = ""

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of the one plain command."""
        return self.commands[0]


def read_command(text: str) -> Reading:
    """Parse a command line. Anything that is not fully understood is a problem."""
    if problem := _unreadable(text):
        return Reading((), problem)
    root = _parser().parse(text.encode()).root_node
    commands: list[tuple[Word, ...]] = []
    problem = ""
    for node in _commands(root):
        try:
            commands.append(tuple(_words(node)))
        except NotPlain as error:
            problem = problem or str(error)
            commands.append(tuple(_literal_words(node)))
    return Reading(tuple(commands), _structure(root) or problem)


def _unreadable(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it is not valid text"
    if size > COMMAND_LIMIT_BYTES:
        return f"it is longer than {COMMAND_LIMIT_BYTES} bytes"
    if not text.strip():
        return "it is empty"
    for character in text:
        kind = unicodedata.category(character)
        if (kind == "Cc" and character not in "\t\n") or kind in {"Cs", "Co", "Cn"}:
            return f"it contains the control character U+{ord(character):04X}"
        if unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}:
            return f"it contains U+{ord(character):04X}, which changes the order in which text is shown"
    return ""


@cache
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def _structure(root: Node) -> str:
    """Why the whole is more than one plain command."""
    if root.has_error:
        return "it does not parse as a command (an open quote or bracket?)"
    children = root.children
    if len(children) == 1 and children[0].type == "command":
        return ""
    kinds = {node.type for node in children}
    if kinds & {"comment"}:
        return "it has a comment: leave it out"
    if "redirected_statement" in kinds:
        return "it redirects input or output, which needs a shell"
    if "pipeline" in kinds:
        return "it is a pipeline, which needs a shell"
    if "&" in kinds:
        return "it has an unquoted &, which would start a background job: put quotes around the URL or value"
    if len(children) > 1 or "list" in kinds:
        return "it is more than one command: run them one by one"
    return "it is shell code, not a command"


def _commands(node: Node) -> Iterator[Node]:
    if node.type == "command":
        yield node
    for child in node.children:
        yield from _commands(child)


def _words(command: Node) -> Iterator[Word]:
    end = command.start_byte
    source = _source(command)
    for child in command.children:
        gap = source[end - command.start_byte : child.start_byte - command.start_byte]
        _check_gap(gap, is_first=end == command.start_byte)
        end = child.end_byte
        if child.type == "command_name":
            yield _word(child.children[0]) if len(child.children) == 1 else _refuse(child)
        elif child.type in _WORD_NODES:
            yield _word(child)
        elif child.type == "variable_assignment":
            raise NotPlain("it sets a variable in front of the command: pass variables in env instead")
        else:
            _refuse(child)


def _literal_words(command: Node) -> Iterator[Word]:
    """Those words of a command that can be read: enough to find a denied flag in what cannot run anyway."""
    for child in command.children:
        node = child.children[0] if child.type == "command_name" and child.children else child
        if node.type in _WORD_NODES:
            try:
                yield _word(node)
            except NotPlain:
                continue


def _check_gap(gap: bytes, *, is_first: bool) -> None:
    """Between two words is blank space; a line may be continued there, but nowhere inside a word."""
    if is_first and not gap:
        return
    if not gap or gap.replace(b"\\\n", b" ").strip(b" \t") or not gap[:1].isspace():
        raise NotPlain("two words are not divided by a blank, or a line is continued within a word")


def _source(node: Node) -> bytes:
    return node.text or b""


def _word(node: Node) -> Word:
    text = _source(node).decode()
    match node.type:
        case "word" | "number":
            return _unquoted(text)
        case "raw_string":
            return Word(text[1:-1])
        case "string":
            return Word(_double_quoted(node, text[1:-1]))
        case "ansi_c_string":
            return Word(_ansi_c(text[2:-1]))
        case "concatenation":
            return _joined(node)
        case _:
            return _refuse(node)


def _joined(node: Node) -> Word:
    parts = []
    end = node.start_byte
    for child in node.children:
        if child.start_byte != end:
            raise NotPlain("a word has a gap in it")
        end = child.end_byte
        # Braces that expand to nothing but themselves come as words of their own.
        parts.append(_word(child))
    return Word("".join(part.text for part in parts), "".join(part.globs for part in parts))


def _unquoted(text: str) -> Word:
    out, globs = [], []
    characters = iter(text)
    for position, character in enumerate(characters):
        if character == "\\":
            following = next(characters, "")
            if following in {"", "\n"}:
                raise NotPlain("a line is continued within a word")
            out.append(following)
            continue
        if character in _GLOB or character in "{}" or (character == "~" and position == 0):
            globs.append(character)
        if character in "$`<>&|;()\"'":
            raise NotPlain(f"it has an unquoted {character}, which means something to a shell")
        out.append(character)
    return Word("".join(out), "".join(globs))


def _double_quoted(node: Node, text: str) -> str:
    if any(child.type not in {'"', "string_content"} for child in node.children):
        raise NotPlain("a shell would replace something inside double quotes ($ or `): write the value itself")
    out = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            if following == "\n":
                raise NotPlain("a line is continued within quotes")
            out.append(following if following in {'"', "\\", "$", "`"} else f"\\{following}")
        elif character in "$`":
            raise NotPlain("a shell would replace something inside double quotes ($ or `): write the value itself")
        else:
            out.append(character)
    return "".join(out)


def _ansi_c(text: str) -> str:
    out: list[str] = []
    i = 0
    while i < len(text):
        if text[i] != "\\":
            out.append(text[i])
            i += 1
            continue
        escape = text[i + 1 : i + 2]
        i += 2
        if escape in _ANSI_ESCAPES:
            out.append(_ANSI_ESCAPES[escape])
        elif escape in {"'", '"', "\\", "?"}:
            out.append(escape)
        elif escape in {"x", "u", "U"}:
            width = {"x": 2, "u": 4, "U": 8}[escape]
            digits = _run(text, i, width, "0123456789abcdefABCDEF")
            out.append(_character(digits, 16))
            i += len(digits)
        elif escape in set("01234567"):
            digits = _run(text, i - 1, 3, "01234567")
            out.append(_character(digits, 8))
            i += len(digits) - 1
        else:
            raise NotPlain("an escape inside $'…' is not understood")
    return "".join(out)


def _run(text: str, start: int, width: int, alphabet: str) -> str:
    end = start
    while end < min(len(text), start + width) and text[end] in alphabet:
        end += 1
    return text[start:end]


def _character(digits: str, base: int) -> str:
    # Bytes above 127 would have to be joined into characters first: nobody writes a command that way.
    value = int(digits, base) if digits else 0
    if not 0 < value < 0x80:
        raise NotPlain("an escape inside $'…' is not a plain character")
    return chr(value)


_NAMES = {
    "simple_expansion": "it uses a variable: write its value",
    "expansion": "it uses a variable: write its value",
    "command_substitution": "it runs a command inside the command",
    "process_substitution": "it runs a command inside the command",
    "arithmetic_expansion": "it computes a value: write the result",
    "brace_expression": "it uses a brace expansion: write the words",
    "herestring_redirect": "it redirects input, which needs a shell",
    "translated_string": 'it uses a translated string ($"…"): use plain quotes',
}


def _refuse(node: Node) -> Word:
    raise NotPlain(_NAMES.get(node.type, "it uses shell syntax beyond plain words"))
