"""Variables a command may be given: those that only change how text looks, after a question others, some never."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.execpolicy.models import Finding

_HARMLESS = re.compile(r"LANG|LANGUAGE|LC_[A-Z]{2,20}|TZ|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|COLUMNS|LINES")
_PLAIN_VALUE = re.compile(r"(?!.*\.\.)(?:[A-Za-z0-9+][A-Za-z0-9_.,:@+=/-]*)?")
"""No path: a time zone, terminal or language with one in it reads that file."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_NEVER = re.compile(
    r"LD_.*|DYLD_.*|BASH_.*|GIT_.*|NODE_.*|NPM_.*|PYTHON.*|PERL.*|RUBY.*|GEM_.*|JAVA_.*|_JAVA_.*|OPENSSL_.*|SSL_.*|"
    r"CURL_.*|XDG_.*|.*_PROXY|AWS_.*|DOCKER_.*|GCONV_PATH|GLIBC_.*|MALLOC_.*|LOCPATH|NLSPATH|RES_OPTIONS|HOSTALIASES|"
    r"LOCALDOMAIN|TZDIR|PATH|HOME|ZDOTDIR|SHELL|SHELLOPTS|ENV|IFS|PS[0-9]|PROMPT_COMMAND|EDITOR|VISUAL|PAGER|BROWSER|"
    r"CDPATH|GLOBIGNORE|SSLKEYLOGFILE|REQUESTS_CA_BUNDLE|NETRC|TMPDIR|TEMP|TMP|QUOTING_STYLE|CLAWGATE_.*|UV_.*|LUA_.*|"
    r"CREDENTIALS_DIRECTORY|NOTIFY_SOCKET|LISTEN_.*|SSH_.*|GPG_.*|KRB5.*|TERMINFO.*|TERMCAP|MAIL.*|HISTFILE|INPUTRC",
    re.IGNORECASE,
)


def judge_environment(env: Mapping[str, str]) -> list[Finding]:
    """Look at the variables that come with a command. Values are never quoted: they may be secret."""
    findings = []
    for name, value in env.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            findings.append(Finding("deny", "env-form", f"the variable {name[:40]!r} has no legal name or value"))
        elif _NEVER.fullmatch(name):
            reason = f"the variable {name} changes what programs load, trust or connect to"
            findings.append(Finding("deny", "env-forbidden", reason))
        elif not _HARMLESS.fullmatch(name):
            findings.append(Finding("ask", "env-unknown", f"the variable {name} is not among the harmless ones"))
        elif not _PLAIN_VALUE.fullmatch(value):
            findings.append(Finding("ask", "env-value", f"the value of {name} is not one such a variable usually has"))
    return findings
