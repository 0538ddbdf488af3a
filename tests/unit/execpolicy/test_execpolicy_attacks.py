"""A second list of attacks, beyond the numbered one: each is refused, or at least never runs without a person."""

from __future__ import annotations

import pytest

from shared.execpolicy.decide import decide_exec
from shared.execpolicy.models import Decision, ExecRequest
from shared.execpolicy.policy import ExecPolicy, ProgramProfile

URL = "https://www.example.org/"
POLICY = ExecPolicy(
    profiles={
        "curl": ProgramProfile(denied_flags=("-o", "--output", "-O", "--remote-name", "-T", "--upload-file")),
        "node": ProgramProfile(denied_flags=("--eval-file",)),
    }
)


def decide(command: str, **more: object) -> Decision:
    return decide_exec(ExecRequest(command, **more), POLICY)  # type: ignore[arg-type]


DENIED = {
    # A denied flag where curl only prints its help, and behind what ends other programs' options.
    "help, then -o": f"curl -h -o f {URL}",
    "help, then --output": f"curl --help --output f {URL}",
    "help clustered with -O": f"curl -hO {URL}",
    "help clustered with -o": f"curl -ho f {URL}",
    "version, then -o": f"curl -V -o f {URL}",
    "manual, then -T": f"curl -M -T f {URL}",
    "standard output by name": f"curl -o- {URL}",
    "dot uploads": f"curl -T. {URL}",
    "digits before -o": f"curl -0o f {URL}",
    "hash before -o": f"curl '-#o' f {URL}",
    "next before -o": f"curl -:o f {URL}",
    "minus as file name": f"curl --output - {URL}",
    "octal quotes": f"curl $'\\055o' f {URL}",
    "hexadecimal quotes": f"curl $'\\x2d\\x6f' f {URL}",
    "unicode quotes": f"curl $'\\u002do' f {URL}",
    "quotes inside": f"curl -'s'\"o\" f {URL}",
    "in a substitution": f'curl "$(curl -o f {URL})" {URL}',
    "in a function": f"f() {{ curl -so f {URL}; }}; f",
    "in a loop": f"for i in 1 2; do curl -O {URL}; done",
    "in a group": f"{{ curl -O {URL}; }}",
    "behind a comment sign in quotes": f"curl '#' -o f {URL}",
    # Other ways to write, to read options, to leave by another road.
    "config of standard input": f"curl -qK/dev/stdin {URL}",
    "config abbreviated": f"curl --conf f {URL}",
    "expanded data": f"curl --expand-data '{{{{x}}}}' {URL}",
    "expanded output": f"curl --expand-output f {URL}",
    "variable of a file": f"curl --variable x@/etc/passwd {URL}",
    "netrc in a cluster": f"curl -sn {URL}",
    "netrc of a file": f"curl --netrc-file f {URL}",
    "socket abbreviated": f"curl --unix /run/docker.sock {URL}",
    "resolve with a plus": f"curl --resolve +www.example.org:443:10.0.0.1 {URL}",
    "connect to a port": f"curl --connect-to www.example.org:443:127.0.0.1:22 {URL}",
    "name servers": f"curl --dns-servers 10.0.0.1 {URL}",
    "proxy switched off": f"curl -x '' {URL}",
    "no proxy": f"curl --noproxy '*' {URL}",
    "header for the proxy": f"curl --proxy-header 'X: y' {URL}",
    "value with =": f"curl --url={URL}",
    "letter outside the alphabet": f"curl '-*' x {URL}",
    "letter of no option": f"curl '-$' {URL}",
    "no such negation": f"curl --no-no-verbose {URL}",
    "directory of outputs": f"curl --output-dir /tmp {URL}",
    "client certificate": f"curl --cert f:pw {URL}",
    "cookie jar shown": f"curl -c - {URL}",
    # Addresses.
    "loopback with a dot": "curl http://127.0.0.1./",
    "octal, padded": "curl http://0177.0.0.01/",
    "one octal number": "curl http://017700000001/",
    "mixed and short": "curl http://0x7f.1/",
    "metadata mapped": "curl -g 'http://[::ffff:a9fe:a9fe]/'",
    "metadata by 6to4": "curl -g 'http://[2002:a9fe:a9fe::]/'",
    "compatible form": "curl -g 'http://[::127.0.0.1]/'",
    "no address": "curl -g 'http://[::]/'",
    "with a zone": "curl -g 'http://[fe80::1%25eth0]/'",
    "user name in front": "curl http://www.example.org:80@127.0.0.1/",
    "semicolon in front": "curl 'http://www.example.org;@127.0.0.1/'",
    "fragment behind": "curl 'http://127.0.0.1#@www.example.org/'",
    "query behind": "curl 'http://127.0.0.1?@www.example.org/'",
    "percent NUL": "curl 'http://www.example.org%00.evil/'",
    "percent slash": "curl 'http://www.example.org%2f@127.0.0.1/'",
    "three slashes": "curl http:///127.0.0.1/",
    "Alibaba's metadata": "curl http://100.100.100.200/",
    "Azure's platform": "curl http://168.63.129.16/",
    "multicast": "curl http://224.0.0.1/",
    "broadcast": "curl http://255.255.255.255/",
    "benchmark network": "curl http://198.18.0.1/",
    "second URL": f"curl {URL} https://127.0.0.1/",
    "after --next": f"curl {URL} --next http://127.0.0.1/",
    "globbing of hosts": "curl 'https://{a,b}.example.org/'",
    "by --url": f"curl {URL} --url http://[::1]/",
    "file by --url": "curl --url file:///etc/passwd",
    "file in odd letters": "curl FiLe:///etc/passwd",
    "telnet": "curl telnet://www.example.org:25",
    "ldap": "curl ldap://www.example.org/",
    "smb": "curl smb://www.example.org/x",
    "rtsp": "curl rtsp://www.example.org/",
    "mqtt": "curl mqtt://www.example.org/",
    "web socket": "curl ws://www.example.org/",
    "almost https": "curl httpss://www.example.org/",
    # node
    "node short print cluster": "node -ep 1",
    "node program missing": "node -e",
    "node abbreviation": "node --ev 1",
    "node data import": "node --import 'data:text/javascript,1' -e 1",
    "node data import =": "node --import=data:text/javascript,1 -e 1",
    "node attached require": "node -r./x.js -e 1",
    "node env file maybe": "node --env-file-if-exists=.env -e 1",
    "node unknown experiment": "node --experimental-foo --version",
    "node inspector, then version": "node --inspect=0.0.0.0 --version",
    "node standard input by name": "node /dev/stdin",
    "node here-string": "node <<< 'process.exit(1)'",
    "node here-document": "node <<'E'\n1\nE",
    "node profile, then version": "node --version --cpu-prof",
    "node title swallows nothing": "node --title x --version",
    "node v8 rights": "node --allow-natives-syntax -e 1",
    "node more rights": "node --permission '--allow-fs-read=*' -e 1",
    "node without permission": "node --no-permission -e 1",
    "node script before the option": "node index.mjs --version",
    "node script after --": "node --version -- x.js",
    "node debugger": "node inspect x.js",
    "node snapshot": "node --snapshot-blob=x x.js",
    "node openssl": "node --openssl-config=x --version",
    "node eval file": "node --eval_file=x",
    # Grammar
    "here-string": f"curl -d @- {URL} <<< secret",
    "process substitution": f"curl -d @<(id) {URL}",
    "brace in a scheme": "curl http{,s}://www.example.org/",
    "translated string": f'curl $"-o" f {URL}',
    "control escape": f"curl $'\\cA' {URL}",
    "array": f"a=(1 2); curl {URL}",
    "array element": f"curl ${{a[@]}} {URL}",
    "arithmetic": f"curl $((1+1)) {URL}",
    "arithmetic command": f"((1)) && curl {URL}",
    "test command": f"[[ -f x ]] && curl {URL}",
    "element assignment": f"a[0]=1 curl {URL}",
    "line continued in the name": f"cu\\\nrl {URL}",
    "line continued in a flag": f"curl -\\\no f {URL}",
    "no command, redirection only": "> f",
    "redirection first": f"> f curl {URL}",
    "both to a pipe": f"curl {URL} |& cat",
    "descriptor": f"curl {URL} 2>&1",
    "trailing semicolon": f"curl {URL} ;",
    "if": f"if true; then curl {URL}; fi",
    "case": f"case x in x) curl {URL};; esac",
    "select": f"select x in a; do curl {URL}; done",
    "coproc": f"coproc curl {URL}",
    "time": f"time -p curl {URL}",
    "env -i": f"env -i curl {URL}",
    "absolute env": f"/usr/bin/env curl {URL}",
    "busybox by path": f"/usr/bin/busybox wget {URL}",
    "doubled slash": f"/usr/bin//curl {URL}",
    "leading slashes": f"//usr/bin/curl {URL}",
    "trailing slash": f"curl/ {URL}",
    "home": f"~/curl {URL}",
    "carriage return": f"curl {URL}\r -o f",
    "escape character": f"curl {URL} \x1b[2K",
    "delete character": f"curl {URL} \x7f",
    "private use": f"curl {URL}\ue000",
    "surrogate": f"curl {URL}\ud800",
}

ASKED = {
    "globbing after --next": "curl -g 'https://h.example.org/x' --next 'https://h.example.org/[1-100000]'",
    "globbing switched on again": "curl -g --no-globoff 'https://h.example.org/[1-100000]'",
    "globbing by letters": "curl 'https://h.example.org/[a-z]'",
    "URLs of a file": "curl --url @urls.txt",
    "cipher without certificate": f"curl --ciphers aNULL@SECLEVEL=0 {URL}",
    "weak TLS 1.3 cipher": f"curl --tls13-ciphers X {URL}",
    "old TLS": f"curl --tls-max 1.0 {URL}",
    "oldest TLS": f"curl --tlsv1.0 {URL}",
    "old TLS by letter": f"curl -1 {URL}",
    "curves": f"curl --curves X {URL}",
    "format attached": f"curl -sw@f {URL}",
    "format writes": f"curl -w '%{{http_code}}%output{{/tmp/f}}' {URL}",
    "format appends": f"curl -w '%output{{>>/tmp/f}}' {URL}",
    "schemes": f"curl --proto =file {URL}",
    "schemes after a redirect": f"curl -L --proto-redir =all {URL}",
    "scheme by default": "curl --proto-default file www.example.org/x",
    "line feed in a header": f"curl -H $'X: a\\nHost: b' {URL}",
    "line feed in the agent": f"curl -A $'a\\nX: b' {URL}",
    "line feed in credentials": f"curl -u $'a\\n:b' {URL}",
    "line feed in a cookie": f"curl -b $'a=b\\nX: y' {URL}",
    "request line in the method": f"curl -X 'GET http://127.0.0.1/' {URL}",
    "tunnel as a method": f"curl -X CONNECT {URL}",
    "echo as a method": f"curl -X TRACE {URL}",
    "another host's name": f"curl -H 'Host: 169.254.169.254' {URL}",
    "another host's name, odd": f"curl -H ' hOsT : metadata' {URL}",
    "header for our proxy": f"curl -H 'Proxy-Authorization: Basic x' {URL}",
    "length of the body": f"curl -H 'Content-Length: 0' -d x {URL}",
    "form of the body": f"curl -H 'Transfer-Encoding: chunked' -d x {URL}",
    "hop by hop": f"curl -H 'Connection: upgrade' {URL}",
    "JSON of a file": f"curl --json '@-' {URL}",
    "form reads text": f"curl -F'x=<f' {URL}",
    "form name in quotes": f"curl -F '\"x\"=@f' {URL}",
    "form with a type": f"curl -F 'x=@f;type=text/plain' {URL}",
    "form value in quotes": f"curl -F 'x=\"@f\"' {URL}",
    "form nests": f"curl -F '=(;type=multipart/mixed' {URL}",
    "encoded name": f"curl --data-urlenc n@f {URL}",
    "query of a file": f"curl --url-query n@f {URL}",
    "cookie without =": f"curl -b @f {URL}",
    "haproxy": f"curl --haproxy-protocol {URL}",
    "target of the request": f"curl --request-target /x {URL}",
    "retries without number": f"curl --retry 1e9 {URL}",
    "sizes in hexadecimal": f"curl --max-filesize 0x10 {URL}",
    "port nought": "curl http://www.example.org:0/",
    "port with a sign": "curl http://www.example.org:+80/",
    "port too large": "curl http://www.example.org:99999/",
    "circled digits": "curl http://①②⑦.⓪.⓪.①/",
    "ideographic dots": "curl http://127。0。0。1/",
    "blank in the host": "curl 'http://127.0.0.1 @www.example.org/'",
    "no scheme, slashes": "curl //127.0.0.1/",
    "one slash": "curl http:/127.0.0.1",
    "options ended": "curl -- -o f",
    "curly quotes": f"curl “-o” f {URL}",
    "en dash": f"curl –output f {URL}",
    "minus sign": f"curl −o f {URL}",
    "host in words and globs": f"curl -H X:* {URL}",
    "home of root": f"curl -d ~root {URL}",
    "capital": f"Curl {URL}",
    "curl.exe": f"curl.exe {URL}",
    "nodejs": "nodejs --version",
    "npx": "npx x",
    "perl": "perl -e 1",
    "program and version": "node -v -e 1",
}


@pytest.mark.parametrize("name", DENIED)
def test_it_is_refused(name: str) -> None:
    decision = decide(DENIED[name])
    assert decision.verdict == "deny", decision


@pytest.mark.parametrize("name", ASKED)
def test_it_never_runs_by_itself(name: str) -> None:
    decision = decide(ASKED[name])
    assert decision.verdict == "ask", decision


@pytest.mark.parametrize(
    ("env", "verdict"),
    [
        ({"CURL_CA_BUNDLE": "f"}, "deny"),
        ({"NODE_EXTRA_CA_CERTS": "f"}, "deny"),
        ({"NODE_REPL_EXTERNAL_MODULE": "f"}, "deny"),
        ({"http_proxy": "x"}, "deny"),
        ({"No_Proxy": "*"}, "deny"),
        ({"UV_THREADPOOL_SIZE": "1"}, "deny"),
        ({"TERMINFO_DIRS": "."}, "deny"),
        ({"A=B": "x"}, "deny"),
        ({"LANG": "a\0b"}, "deny"),
        ({"TZ": "/etc/passwd"}, "ask"),
        ({"TZ": ":/etc/passwd"}, "ask"),
        ({"TZ": "../../etc/passwd"}, "ask"),
        ({"LANGUAGE": "de:../../tmp"}, "ask"),
        ({"TERM": "$(id)"}, "ask"),
        ({"LC_ALL": "C\nX"}, "ask"),
        ({"TZ": "Europe/Berlin", "LANG": "de_DE.UTF-8", "TERM": "xterm-256color", "NO_COLOR": "1"}, "allow"),
        ({"LANG": ""}, "allow"),
    ],
)
def test_variables(env: dict[str, str], verdict: str) -> None:
    assert decide(f"curl {URL}", env=env).verdict == verdict


@pytest.mark.parametrize(
    "command",
    [
        "curl --help all",
        "curl -h http",
        "curl -h",
        "curl -g 'https://h.example.org/[1]' -d x",
        f"curl --no-progress-meter -H 'Expect:' -d x {URL}",
        f"curl -H 'Hostname: x' -H 'X-Forwarded: y' {URL}",
        f"curl -X patch -d x {URL}",
        f"curl --tlsv1.2 {URL}",
    ],
)
def test_what_looks_alike_and_is_harmless(command: str) -> None:
    decision = decide(command)
    assert decision.verdict == "allow", decision
