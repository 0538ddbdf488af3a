"""Every option of curl, and what it can do to us. A test fails when the installed curl knows one that is not here.

Covers curl 7.68 to 8.17; an option the installed version lacks is refused by curl itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "harmless",  # changes how a request is made or shown
    "text",  # a literal value of one line
    "number",  # a number, with an optional unit
    "method",  # an HTTP method
    "header",  # a header line; @ reads a file
    "body",  # data to send; @ reads a file
    "raw-body",  # data to send, literally
    "encoded-body",  # data to send; name@file reads a file
    "form",  # a multipart field; @ and < read files
    "cookie",  # name=value; without = it reads a file
    "format",  # --write-out
    "url",  # one more URL
    "next",  # begins another set of options
    "ask",  # a person has to decide
    "deny",  # writes or reads files, or takes the connection elsewhere
]


@dataclass(frozen=True, slots=True)
class CurlOption:
    """One long option.

    Attributes:
        takes_value: the next word, or the rest of a short cluster, belongs to it.
    """

    name: str
    kind: Kind
    takes_value: bool
    why: str = ""


_FLAGS: Mapping[Kind, str] = {
    "harmless": """
        basic compressed digest disable disable-eprt disable-epsv disallow-username-in-url fail fail-early
        fail-with-body form-escape get globoff head help http1.0 http1.1 http2 http2-prior-knowledge http3
        http3-only include ipv4 ipv6 location manual no-buffer no-progress-meter buffer keepalive alpn sessionid
        progress-meter path-as-is post301 post302 post303 progress-bar raw retry-all-errors retry-connrefused
        show-error show-headers silent ssl-reqd styled-output suppress-connect-headers tcp-fastopen tcp-nodelay
        tlsv1.2 tlsv1.3 tr-encoding trace-ids trace-time verbose version cert-status false-start npn
        no-keepalive no-alpn no-npn no-sessionid ca-native tls-earlydata
    """,
    "ask": """
        anyauth append compressed-ssh crlf doh-cert-status ftp-create-dirs ftp-pasv ftp-pret ftp-skip-pasv-ip
        ftp-ssl-ccc ftp-ssl-control haproxy-protocol http0.9 ignore-content-length insecure junk-session-cookies
        list-only location-trusted mail-rcpt-allowfails metalink mptcp negotiate ntlm ntlm-wb out-null parallel
        parallel-immediate sasl-ir socks5-basic socks5-gssapi socks5-gssapi-nec ssl ssl-allow-beast
        ssl-auto-client-cert ssl-no-revoke ssl-revoke-best-effort sslv2 sslv3 tftp-no-options use-ascii follow
        ftp-ssl ftp-ssl-reqd skip-existing tlsv1 tlsv1.0 tlsv1.1
    """,
    "deny": """
        create-dirs doh-insecure netrc netrc-optional proxy-anyauth proxy-basic proxy-ca-native proxy-digest
        proxy-http2 proxy-insecure proxy-negotiate proxy-ntlm proxy-ssl-allow-beast proxy-ssl-auto-client-cert
        proxy-tlsv1 proxytunnel remote-header-name remote-name remote-name-all remote-time remove-on-error xattr
        clobber no-clobber test-event
    """,
    "next": "next",
}
_VALUES: Mapping[Kind, str] = {
    "text": """
        login-options oauth2-bearer referer user user-agent range service-name
    """,
    "number": """
        connect-timeout expect100-timeout happy-eyeballs-timeout-ms keepalive-time keepalive-cnt limit-rate
        max-filesize max-redirs max-time rate retry retry-delay retry-max-time speed-limit speed-time
    """,
    "method": "request",
    "header": "header",
    "body": "data data-ascii data-binary json",
    "raw-body": "data-raw form-string",
    "encoded-body": "data-urlencode url-query",
    "form": "form",
    "cookie": "cookie",
    "format": "write-out",
    "url": "url",
    "ask": """
        aws-sigv4 continue-at create-file-mode delegation ech ftp-account ftp-alternative-to-user ftp-method
        ftp-ssl-ccc-mode hostpubmd5 hostpubsha256 ip-tos ipfs-gateway krb local-port mail-auth mail-from mail-rcpt
        parallel-max parallel-max-host pass pinnedpubkey proto proto-default proto-redir request-target sasl-authzid
        telnet-option tftp-blksize time-cond tlsauthtype tlspassword tlsuser upload-flags vlan-priority
        haproxy-clientip dns-ipv4-addr dns-ipv6-addr trace-config cert-type key-type ciphers curves sigalgs tls-max
        tls13-ciphers
    """,
    "deny": """
        abstract-unix-socket alt-svc cacert capath cert config connect-to cookie-jar crlfile dns-interface
        dns-servers doh-url dump-header egd-file engine etag-compare etag-save ftp-port hsts interface key knownhosts
        libcurl netrc-file noproxy output output-dir preproxy proxy proxy-cacert proxy-capath proxy-cert
        proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key proxy-key-type proxy-pass
        proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword proxy-tlsuser
        proxy-user proxy1.0 pubkey quote random-file resolve socks4 socks4a socks5 socks5-gssapi-service
        socks5-hostname ssl-sessions stderr trace trace-ascii unix-socket upload-file variable
    """,
}

SHORT: Mapping[str, str] = {
    "#": "progress-bar",
    "0": "http1.0",
    "1": "tlsv1",
    "2": "sslv2",
    "3": "sslv3",
    "4": "ipv4",
    "6": "ipv6",
    ":": "next",
    "A": "user-agent",
    "B": "use-ascii",
    "C": "continue-at",
    "D": "dump-header",
    "E": "cert",
    "F": "form",
    "G": "get",
    "H": "header",
    "I": "head",
    "J": "remote-header-name",
    "K": "config",
    "L": "location",
    "M": "manual",
    "N": "no-buffer",
    "O": "remote-name",
    "P": "ftp-port",
    "Q": "quote",
    "R": "remote-time",
    "S": "show-error",
    "T": "upload-file",
    "U": "proxy-user",
    "V": "version",
    "X": "request",
    "Y": "speed-limit",
    "Z": "parallel",
    "a": "append",
    "b": "cookie",
    "c": "cookie-jar",
    "d": "data",
    "e": "referer",
    "f": "fail",
    "g": "globoff",
    "h": "help",
    "i": "include",
    "j": "junk-session-cookies",
    "k": "insecure",
    "l": "list-only",
    "m": "max-time",
    "n": "netrc",
    "o": "output",
    "p": "proxytunnel",
    "q": "disable",
    "r": "range",
    "s": "silent",
    "t": "telnet-option",
    "u": "user",
    "v": "verbose",
    "w": "write-out",
    "x": "proxy",
    "y": "speed-time",
    "z": "time-cond",
}
"""Short letters, and the long option each is."""

_WHY: Mapping[str, str] = {
    "insecure": "-k accepts any certificate",
    "parallel": "many transfers at once",
    "location-trusted": "it sends credentials on to other hosts",
    "ciphers": "some ciphers check no certificate",
    "config": "it reads further options from a file",
    "proxy": "it sends the request through another host",
    "resolve": "the gateway itself decides which address a name has",
    "connect-to": "the gateway itself decides which address a name has",
    "unix-socket": "it reaches a local service",
    "abstract-unix-socket": "it reaches a local service",
}


def _options() -> Iterator[CurlOption]:
    for takes_value, groups in ((False, _FLAGS), (True, _VALUES)):
        for kind, names in groups.items():
            for name in names.split():
                yield CurlOption(name, kind, takes_value, _WHY.get(name, ""))


OPTIONS: Mapping[str, CurlOption] = {option.name: option for option in _options()}
"""By long name, without the dashes."""


def find_long(name: str) -> CurlOption | tuple[str, ...]:
    """The option of a long name or of its abbreviation; else the names it could mean.

    ``--no-`` turns a flag off; that is as harmless as the flag is, and never more than a question otherwise.
    """
    if name in OPTIONS:
        return OPTIONS[name]
    if name.startswith("no-") and (base := OPTIONS.get(name[3:])) is not None and not base.takes_value:
        return base
    if name.startswith("expand-"):
        return CurlOption(name, "deny", takes_value=True, why="it fills in variables")
    found = tuple(sorted(long for long in OPTIONS if name and long.startswith(name)))
    return OPTIONS[found[0]] if len(found) == 1 else found
