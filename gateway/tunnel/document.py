"""A YAML file read with the line of everything in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from shared.errors import Invalid

Path = tuple[str | int, ...]
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """Values and where they stand.

    Attributes:
        values: the top table.
        lines: line (from 1) of each key and list item.
        repeated: keys that a table has twice, with their line.
    """

    values: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)
    repeated: list[tuple[str, int]] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """Line of a place, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_document(text: str) -> Document:
    """Parse.

    Raises:
        Invalid: it is not YAML, not a table, too large, or uses references (cloudflared's files have none, and a few
            lines of them can stand for gigabytes).
    """
    if len(text) > _MOST_BYTES:
        raise Invalid("the file is larger than 1 MB; that is not cloudflared's", code="tunnel.file")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)):
            raise Invalid("the file uses YAML references (*name); write the values out", code="tunnel.file")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise Invalid(f"{where}not valid YAML: {getattr(error, 'problem', error)}", code="tunnel.file") from None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not valid YAML: {error}", code="tunnel.file") from None
    if not isinstance(values, dict) or root is None:
        raise Invalid("the file is not a table of keys", code="tunnel.file")
    document = Document(values)
    _walk(root, (), document)
    return document


def _walk(node: yaml.Node, path: Path, document: Document) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                document.repeated.append((name, key.start_mark.line + 1))
            seen.add(name)
            document.lines[*path, name] = key.start_mark.line + 1
            _walk(value, (*path, name), document)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            document.lines[*path, number] = item.start_mark.line + 1
            _walk(item, (*path, number), document)
