"""Which addresses a group may fetch: the pure decision, and what the network may refuse after it."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.egress.addresses import checked_addresses, refusal
from gateway.egress.decide import decide_fetch, parse_target
from gateway.egress.policy import EgressPolicy, load_egress
from shared.config.paths import Paths
from shared.errors import ConfigError, Denied, Invalid, Unavailable


def a_policy(*allow: str, **more) -> EgressPolicy:
    return EgressPolicy.model_validate({"tenants": {"nanoclaw": {"groups": {"lab": {"allow": allow}}}}} | more)


def allowed(url: str, *allow: str) -> bool:
    return decide_fetch(url, "nanoclaw", "lab", a_policy(*allow)).allowed


def test_nothing_is_allowed_by_default_and_the_refusal_names_file_and_line():
    verdict = decide_fetch("https://example.org/a?secret=1", "nanoclaw", "lab", EgressPolicy())
    assert not verdict.allowed
    for words in ('"example.org"', "[tenants.nanoclaw.groups.lab]", "policies/egress.toml", "clawgate restart gateway"):
        assert words in verdict.reason
    assert "secret" not in verdict.reason


def test_the_line_that_a_refusal_asks_for_is_the_one_that_helps():
    for url in ("https://example.org/", "http://example.org:8080/", "https://bücher.example/", "http://[2600::1]/"):
        wanted = decide_fetch(url, "nanoclaw", "lab", EgressPolicy()).reason.partition(" ")[0]
        assert allowed(url, wanted), wanted


@pytest.mark.parametrize(
    ("pattern", "url", "is_allowed"),
    [
        ("example.org", "https://example.org/x", True),
        ("example.org", "http://EXAMPLE.org./x", True),
        ("example.org", "https://www.example.org/", False),
        ("example.org", "https://example.org.evil.net/", False),
        ("example.org", "https://notexample.org/", False),
        ("example.org", "https://example.org:8443/", False),
        ("example.org:8443", "https://example.org:8443/", True),
        ("example.org:8443", "https://example.org/", False),
        ("example.org:*", "https://example.org:1/", True),
        ("*.example.org", "https://a.b.example.org/", True),
        ("*.example.org", "https://example.org/", False),
        ("*.example.org", "https://evilexample.org/", False),
        ("*", "https://anything.at.all/", True),
        ("*", "http://93.184.216.34/", False),
        ("93.184.216.34", "http://93.184.216.34/", True),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
    ],
)
def test_patterns_cover_what_they_say_and_no_more(pattern, url, is_allowed):
    assert allowed(url, pattern) is is_allowed


def test_what_a_whole_tenant_may_reach_its_groups_may_too_and_no_other_tenant():
    policy = EgressPolicy.model_validate(
        {"tenants": {"nanoclaw": {"allow": ["a.org"], "groups": {"lab": {"allow": ["b.org"]}}}}}
    )
    reached = {
        (tenant, group, host)
        for tenant in ("nanoclaw", "other")
        for group in ("lab", "den")
        for host in ("a.org", "b.org")
        if decide_fetch(f"https://{host}/", tenant, group, policy).allowed
    }
    assert reached == {
        ("nanoclaw", "lab", "a.org"), ("nanoclaw", "lab", "b.org"), ("nanoclaw", "den", "a.org"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1.:80/",
        "http://１２７.0.0.1/",
        "http://1.2.3.0x4/",
        "http://[::1%25lo]/",
        "http://[::1/",
        "http://user@example.org/",
        "http://example.org:80@evil.net/",
        "http://example.org\\@evil.net/",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: evil.net",
        "http://%6c%6fcalhost/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example.org:port/",
        "http:///path",
        "http://-a.org/",
        "http://" + "a" * 64 + ".org/",
        "http://example.org/" + "x" * 2100,
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "javascript:alert(1)",
        "//example.org/",
        "example.org",
        "",
    ],
)
def test_odd_spellings_are_refused_in_words_whatever_the_policy(url):
    verdict = decide_fetch(url, "nanoclaw", "lab", a_policy("*", "example.org:*", "localhost:*", allow_loopback=True))
    assert not verdict.allowed
    assert verdict.reason


@given(st.text(max_size=60))
def test_no_text_can_upset_the_decision(text):
    for url in (text, f"http://{text}", f"https://example.org/{text}", f"http://{text}@example.org/"):
        verdict = decide_fetch(url, "nanoclaw", "lab", a_policy("example.org"))
        if verdict.allowed:
            target = parse_target(url)
            assert (target.host, target.url.isascii()) == ("example.org", True)
            assert parse_target(target.url) == target


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.5", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.88.99.1",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2001::1", "2001:db8::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1", "not-an-address",
    ],
)  # fmt: skip
def test_only_public_addresses_are_connected_to(address):
    assert refusal(address)
    if address not in {"127.0.0.1", "127.8.8.8", "::1"}:
        assert refusal(address, allow_loopback=True)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses_may_be_connected_to(address):
    assert refusal(address) == ""


def resolving(monkeypatch, *addresses: str) -> None:
    """The machine's resolver answers this, whatever is asked."""

    def getaddrinfo(host, port, *_args, **_kwargs):
        family = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(f, socket.SOCK_STREAM, 6, "", (a, port)) for f, a in zip(family, addresses, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_a_name_that_leads_to_a_public_and_a_private_address_is_refused_whole(monkeypatch):
    resolving(monkeypatch, "93.184.216.34", "10.0.0.5")
    with pytest.raises(Denied, match=r"10\.0\.0\.5"):
        await checked_addresses(parse_target("https://example.org/"))
    resolving(monkeypatch, "93.184.216.34", "2606:4700::1")
    assert await checked_addresses(parse_target("https://example.org/")) == ["93.184.216.34", "2606:4700::1"]


async def test_a_name_that_nobody_knows_is_said_to_be_so(monkeypatch):
    def getaddrinfo(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(Unavailable, match="not known"):
        await checked_addresses(parse_target("https://nowhere.example/"))


@pytest.mark.parametrize(
    "pattern", ["", "https://example.org", "exa mple.org", "*.", "*.*.org", "a/b", "x:0", "x:99999", "[::1"]
)
def test_a_malformed_pattern_is_refused_with_the_forms_there_are(pattern):
    with pytest.raises(ValidationError, match="host pattern"):
        a_policy(pattern)


def overlay(tmp_path, text: str) -> Paths:
    paths = Paths(tmp_path / "s", tmp_path / "r")
    paths.policies.mkdir(parents=True)
    (paths.policies / "egress.toml").write_text(text)
    return paths


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("allow_loopback = true", ["sandbox", "remove the line"]),
        ('[search]\nbackend = "searxng"', ["search.url"]),
        ('[search]\nbackend = "brave"', ["WEB_SEARCH_API_KEY", ".env"]),
        ("max_byte = 3", ["egress.toml:1", "max_bytes"]),
    ],
)
def test_a_policy_that_cannot_stand_is_refused_with_the_fix(tmp_path, text, words):
    with pytest.raises(ConfigError) as refused:
        load_egress(overlay(tmp_path, text), sandbox=False, search_key="")
    assert all(word in refused.value.detail for word in words)


def test_the_shipped_policy_allows_nothing_and_searches_nowhere(tmp_path):
    policy = load_egress(Paths(tmp_path / "s", tmp_path / "r"), sandbox=False, search_key="")
    assert policy.patterns("nanoclaw", "main") == ()
    assert not policy.may_search("nanoclaw", "main")
    assert policy == EgressPolicy()


def test_search_is_offered_where_it_is_configured_and_not_taken_away():
    backend = {"backend": "searxng", "url": "http://127.0.0.1:1"}
    tenants = {
        "nanoclaw": {"groups": {"lab": {"search": False}}},
        "quiet": {"search": False, "groups": {"x": {"search": True}}},
    }
    policy = EgressPolicy.model_validate({"search": backend, "tenants": tenants})
    asked = [("nanoclaw", "main"), ("nanoclaw", "lab"), ("quiet", "main"), ("quiet", "x"), ("unnamed", "any")]
    assert [policy.may_search(*who) for who in asked] == [True, False, False, True, True]
    off = EgressPolicy.model_validate({"tenants": tenants})
    assert not any(off.may_search(*who) for who in asked)


def test_an_address_that_cannot_be_read_says_why():
    with pytest.raises(Invalid, match="user name"):
        parse_target("https://a:b@example.org/")
