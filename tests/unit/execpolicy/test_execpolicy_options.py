"""The profiles know every option of the installed curl and node, and which of them take a value."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from shared.execpolicy.curl_options import OPTIONS, SHORT
from shared.execpolicy.node_options import is_known

_CURL_LINE = re.compile(r"^\s*(?:-(?P<short>\S), )?\s*--(?P<long>[a-z0-9.-]+)(?P<value> [<\[].*?[>\]])?\s")
_OPTIONAL_VALUE = {"help"}


def help_of(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.fail(f"{program} is not installed: the profile cannot be compared with it")
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=True).stdout


def test_every_option_of_the_installed_curl_is_classified() -> None:
    found = [match for line in help_of("curl", "--help", "all").splitlines() if (match := _CURL_LINE.match(line))]
    assert len(found) > 200
    for match in found:
        name = match["long"]
        assert name in OPTIONS, f"curl's --{name} is not classified"
        if name not in _OPTIONAL_VALUE:
            assert OPTIONS[name].takes_value == bool(match["value"]), f"--{name}: does it take a value?"
        if match["short"]:
            assert SHORT[match["short"]] == name


def test_every_short_letter_leads_to_an_option() -> None:
    assert set(SHORT.values()) <= set(OPTIONS)


def test_every_option_of_the_installed_node_is_classified() -> None:
    text = help_of("node", "--help")
    options = [
        option.partition("=")[0].partition("[")[0]
        for line in text.splitlines()
        if line.startswith("  -")
        for option in re.split(r",? +", line.strip().split("  ")[0])
        if option.startswith("-") and option != "--"
    ]
    assert len(options) > 100
    unknown = sorted({option for option in options if not is_known(option)})
    assert unknown == []
