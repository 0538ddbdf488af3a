"""Whatever surrounds a denied flag, the decision never becomes allow; whatever is allowed runs as it is shown."""

from __future__ import annotations

import shlex

from hypothesis import given
from hypothesis import strategies as st

from shared.execpolicy.decide import decide_exec
from shared.execpolicy.models import ExecRequest
from shared.execpolicy.policy import ExecPolicy, ProgramProfile

DENIED = ("-o", "--output", "-O", "--remote-name", "-T", "--upload-file")
POLICY = ExecPolicy(profiles={"curl": ProgramProfile(denied_flags=DENIED)})
URL = "https://www.example.org/"

_word = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
_harmless = st.sampled_from(
    [
        "-s",
        "-S",
        "-sS",
        "-L",
        "-f",
        "--compressed",
        "-d x",
        "-H 'A: b'",
        "-X POST",
        "--max-time 5",
        URL,
        "-:",
        "--next",
        "-G",
    ]
)
_around = st.lists(_harmless, max_size=4).map(" ".join)


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """A denied flag as somebody might write it."""
    flag = draw(st.sampled_from(DENIED))
    if not flag.startswith("--"):
        flag = "-" + draw(st.text("sSfLgiv", max_size=3)) + flag[1:] + draw(st.sampled_from(["", "f", "/f"]))
    else:
        flag = flag[: draw(st.integers(len(flag) - 2, len(flag)))] + draw(st.sampled_from(["", "=f", " f"]))
    style = draw(st.integers(0, 5))
    head, tail = flag[:2], flag[2:]
    if " " in flag or style == 0:
        return flag
    return [flag, f"'{flag}'", f'"{flag}"', f"{head}''{tail}", f"\\{flag}", f"$'{flag}'"][style]


@given(before=_around, after=_around, flag=spelled(), blank=st.sampled_from([" ", "  ", "\t", " \\\n "]))
def test_a_denied_flag_is_never_allowed(before: str, after: str, flag: str, blank: str) -> None:
    command = blank.join(part for part in ("curl", before, flag, "f", after, URL) if part)
    decision = decide_exec(ExecRequest(command), POLICY)
    # Behind an option that takes a value the flag is that value, and then nothing is written.
    is_a_value = decision.argv is not None and decision.verdict != "deny"
    assert decision.verdict != "allow"
    assert decision.verdict == "deny" or is_a_value


@given(argv=st.lists(_word, min_size=1, max_size=6))
def test_a_quoted_argument_list_is_read_back_word_for_word(argv: list[str]) -> None:
    decision = decide_exec(ExecRequest(shlex.join(["curl", *argv])), POLICY)
    assert decision.argv is None or decision.argv == ("curl", *argv)


@given(text=st.text(max_size=60))
def test_no_text_breaks_the_decision(text: str) -> None:
    for command in (text, f"curl {text}", f"curl {URL} {text}", f"node {text}"):
        decision = decide_exec(ExecRequest(command), POLICY)
        assert decision.reason
        if decision.verdict == "allow":
            assert decision.argv is not None
            assert decision.argv[0] in {"curl", "/usr/bin/curl", "/usr/local/bin/curl", "node"}


@given(host=st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_only_public_addresses_are_allowed_in_any_spelling(host: object) -> None:
    import ipaddress

    address = ipaddress.ip_address(str(host))
    spellings = [f"[{address}]"] if address.version == 6 else [str(address), str(int(address)), hex(int(address))]
    for spelling in spellings:
        decision = decide_exec(ExecRequest(f"curl -g 'http://{spelling}/'"), POLICY)
        if not address.is_global or address.is_multicast:
            assert decision.verdict == "deny"
