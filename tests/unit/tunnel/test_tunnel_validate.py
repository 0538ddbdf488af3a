"""The tunnel's file: what policy renders passes its own checks, and each way of breaking it is named with its line."""

import re

import pytest

from gateway.tunnel.document import read_document
from gateway.tunnel.policy import AccessPolicy, TunnelPolicy
from gateway.tunnel.render import render
from gateway.tunnel.validate import check
from shared.errors import Invalid

POLICY = TunnelPolicy(
    name="claw",
    hostname="claw.example.org",
    media_hostname="media.example.org",
    media_service="http://localhost:18792",
    access=AccessPolicy(team="example", audiences=("0123456789abcdef",)),
)
ORIGINS = ("https://claw.example.org",)


def found(text, policy=POLICY, origins=ORIGINS):
    return [(finding.level, finding.line, finding.text) for finding in check(read_document(text), policy, origins)]


def test_what_we_write_passes():
    assert found(render(POLICY)) == []
    plain = TunnelPolicy(name="claw", hostname="claw.example.org")
    assert found(render(plain), plain) == []


def line_with(text, words):
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


BREAKS = [
    ("- service: http_status:404\n", "", "last rule must take every request", "hostname: media"),
    ("http_status:404", "http://localhost:9", "is passed to http://localhost:9", "http://localhost:9"),
    ("- service: http_status:404", "- service: http_status:4040", "not a service", "4040"),
    ("http://localhost:18789", "http://localhost:18789/ui", "may not have a path", "18789/ui"),
    ("service: http://localhost:18789", "service: http://localhost:8000", "policy says", "hostname: claw"),
    ("hostname: claw.example.org", "hostname: other.example.org", "no rule leads", ""),
    ("hostname: claw.example.org", "hostname: claw.example.org:443", "not a host name", ":443"),
    ("required: true", "required: false", "lets everybody in", "access:"),
    ("teamName: example", "teamName: another", "not the policy's", "hostname: claw"),
    ("path: ^/m/", "path: ^/(m/", "no regular expression", "^/(m/"),
    ("path: ^/m/", "path: ^/", "does not lead to the media listener", "hostname: media"),
    ("metrics: 127.0.0.1:20241", "metrics: 0.0.0.0:20241", "which others may reach", "0.0.0.0"),
    ("tunnel: claw", "tunnel: prod", "policy says claw", "tunnel: prod"),
    ("tunnel: claw\n", "tunnel: claw\ntunnel: claw\n", "written twice", ""),
    ("no-autoupdate: true", "no-autoupdates: true", "ignores it", "no-autoupdates"),
    ("tunnel: claw", "tunnel: claw\norigincert: /x/cert.pem", "account's certificate", "origincert"),
    (
        "tunnel: claw",
        "tunnel: claw\noriginRequest:\n  access:\n    required: true\n    teamName: a\n    audTag: [b]",
        "protects nothing",
        "  access:",
    ),
    ("tunnel: claw", "tunnel: claw\noriginRequest:\n  connectTimeout: 30", "not a duration", "connectTimeout"),
    ("    originRequest:\n", "    originRequest:\n      httpHostHeader: localhost\n", "hides", "hostname: claw"),
]


@pytest.mark.parametrize(("old", "new", "says", "at"), BREAKS)
def test_each_break_is_found_at_its_line(old, new, says, at):
    whole = render(POLICY)
    indented = "\n".join(line for line in whole.splitlines() if not line.startswith("#")) + "\n"
    old_here = old if old in indented else re.sub(r"(?m)^ {4}", "  ", old)
    new_here = new if old in indented else re.sub(r"(?m)^ {4}", "  ", new)
    assert old_here in indented
    broken = indented.replace(old_here, new_here, 1)
    hits = [(line, text) for _, line, text in found(broken) if says in text]
    assert hits, found(broken)
    if at:
        assert hits[0][0] in {line_with(broken, at), line_with(broken, at) - 1}


def test_a_browser_that_openclaw_would_refuse():
    assert [text for _, _, text in found(render(POLICY), origins=())] == [
        "OpenClaw refuses browsers that come from https://claw.example.org"
    ]


def test_media_behind_a_login():
    text = render(POLICY).replace(
        "  path: ^/m/\n",
        "  path: ^/m/\n  originRequest:\n    access:\n      required: true\n      teamName: example\n"
        "      audTag:\n      - 0123456789abcdef\n",
    )
    assert any("Meta cannot sign in" in text for _, _, text in found(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 1"),
        ("- a\n- b\n", "not a table"),
        ("a: &x [1]\nb: *x\n", "references"),
        ("", "not a table"),
        ("a: !!python/object:os.system x\n", "could not determine a constructor"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_what_is_not_such_a_file(text, says):
    with pytest.raises(Invalid, match=re.escape(says)):
        read_document(text)


def test_empty_and_odd_ingress():
    base = render(POLICY).split("ingress:")[0]
    assert any("no rules" in text for _, _, text in found(base))
    assert any(
        "a rule is a table" in text for _, _, text in found(base + "ingress:\n- 7\n- service: http_status:404\n")
    )


@pytest.mark.parametrize(
    "values",
    [
        {"name": "claw"},
        {"name": "claw", "hostname": "https://claw.example.org"},
        {"name": "claw", "hostname": "claw.example.org", "metrics": "0.0.0.0:1"},
        {
            "name": "claw",
            "hostname": "claw.example.org",
            "media_hostname": "claw.example.org",
            "media_service": "http://a:1",
        },
        {"name": "claw", "hostname": "claw.example.org", "access": {"team": "example"}},
        {"name": "claw", "hostname": "claw.example.org", "service": "localhost:18789"},
    ],
)
def test_policies_that_are_refused(values):
    with pytest.raises(ValueError, match=r"."):
        TunnelPolicy.model_validate(values)
