#!/bin/sh
# Prepares a checkout: Python environment, container engine, worker image. Run it as often as you like.
#
#   scripts/setup.sh            what `make run` needs
#   scripts/setup.sh --tests    also what the tests need (a browser, and an engine for certain)
#
# It leaves nothing running. On Debian and Ubuntu it installs missing system packages, with sudo when not root.
set -eu

cd "$(dirname "$0")/.."

tests=no
for word in "$@"; do
    case "$word" in
    --tests) tests=yes ;;
    -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "setup: unknown option $word (try --help)" >&2
        exit 2
        ;;
    esac
done

say() { printf 'setup: %s\n' "$*" >&2; }
stop() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# --- system packages ---------------------------------------------------------

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
log=$(mktemp)
policy=""
finish() {
    rm -f "$log"
    if [ -n "$policy" ]; then as_root rm -f "$policy"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null || [ -t 0 ]
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$log" 2>&1; }

# Installs packages; the list is refreshed only when it does not know them. Services do not start by themselves.
install() {
    say "installing $*"
    may_install || stop "cannot install packages as this user: install these yourself and run this again: $*"
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    if ! apt install -y --no-install-recommends "$@"; then
        say "refreshing the package list"
        apt update || stop "apt-get update failed; check the network and /etc/apt: $(tail -n 3 "$log")"
        apt install -y --no-install-recommends "$@" || stop "apt-get could not install $*: $(tail -n 3 "$log")"
    fi
    if [ -n "$policy" ]; then
        as_root rm -f "$policy"
        policy=""
    fi
}

. /etc/os-release 2>/dev/null || ID=unknown

# --- Python ------------------------------------------------------------------

fits() { "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in python3 python3.11 python3.12 python3.13; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

if [ ! -x .venv/bin/python ]; then
    if ! python=$(find_python); then
        case "$(python3 -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null || echo none)" in
        True) install python3-venv ;;
        *)
            if [ "$ID" = ubuntu ] && [ "${VERSION_ID:-}" = 22.04 ]; then
                install python3.11 python3.11-venv
            else
                install python3 python3-venv
            fi
            ;;
        esac
        python=$(find_python) || stop "Python 3.11 or newer with venv is needed: install it and run this again"
    fi
    say "making .venv with $python"
    "$python" -m venv .venv || stop "$python could not make .venv; remove the folder and run this again"
fi
.venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop ".venv holds a Python older than 3.11: remove the folder .venv and run this again"

stamp=$(cat pyproject.toml requirements/constraints.txt | sha256sum | cut -c1-16)
if [ "$(cat .venv/.clawgate-setup 2>/dev/null || true)" != "$stamp" ] || [ ! -x .venv/bin/clawgate ]; then
    say "installing Python packages"
    # The SDK's source distribution is 0.4 MB; its wheel carries the 381 MB command line, which only the worker needs.
    set -- -e '.[dev]' -c requirements/constraints.txt --no-binary claude-agent-sdk
    if .venv/bin/python -m pip install -q --disable-pip-version-check uv >"$log" 2>&1 &&
        .venv/bin/python -m uv pip install -q --python .venv/bin/python "$@" >"$log" 2>&1; then
        :
    else
        .venv/bin/python -m pip install -q --disable-pip-version-check "$@" >"$log" 2>&1 ||
            stop "pip could not install the packages; check the network and pip's settings: $(tail -n 5 "$log")"
    fi
    echo "$stamp" >.venv/.clawgate-setup
fi

# --- git, the engine, the tool that makes the base image -----------------------

command -v git >/dev/null || install git ca-certificates

answers() { .venv/bin/python -c 'import sys
from gateway.sandbox.engine import find_engine
from shared.config.process import environment
sys.exit(find_engine(None, environment("DOCKER_HOST")) is None)' 2>/dev/null; }

engine=yes
if ! answers; then
    if ! command -v dockerd >/dev/null && may_install; then
        install docker.io
        # newer releases package the client on its own
        command -v docker >/dev/null || (install docker-cli) || true
    fi
    if ! command -v dockerd >/dev/null; then
        engine="no Docker engine answers and docker.io is not installed: install it, or run this as root"
    elif [ "$(id -u)" != 0 ]; then
        engine="no Docker engine answers this user: start it (sudo systemctl start docker) and join the group docker, \
or run this as root, which starts a private one"
    fi
fi

# --- the worker image ----------------------------------------------------------

if [ "$engine" = yes ]; then
    if ! command -v mmdebstrap >/dev/null && may_install; then
        install mmdebstrap
    fi
    if [ "$ID" != debian ] && command -v mmdebstrap >/dev/null && may_install &&
        [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
        install debian-archive-keyring
    fi
    .venv/bin/python -m gateway.sandbox.engine run -- \
        .venv/bin/python -m gateway.workers.image.build >"$log" || stop "the worker image was not built, see above"
    say "worker image $(cat "$log")"
elif [ "$tests" = yes ] || [ "${CI:-}" = true ]; then
    stop "$engine"
else
    say "$engine"
    say "going on without: the sandbox will run agents as plain processes, which contains nothing"
fi

# --- programs whose options the tests compare with the exec policy's profiles -----

if [ "$tests" = yes ]; then
    command -v curl >/dev/null || install curl
    command -v node >/dev/null || install nodejs
    command -v systemd-analyze >/dev/null || install systemd
    command -v docker-compose >/dev/null || install docker-compose
    command -v npm >/dev/null || install npm
fi

# --- a browser for the tests -----------------------------------------------------

if [ "$tests" = yes ] && ! command -v chromium >/dev/null && [ ! -e .tools/chromium ]; then
    if [ "$ID" = debian ]; then
        install chromium
    else
        # Ubuntu's package of that name is only a pointer to a snap.
        say "installing Chromium with Playwright"
        mkdir -p .tools
        if [ "$(id -u)" = 0 ]; then with_deps=--with-deps; else with_deps=; fi
        PLAYWRIGHT_BROWSERS_PATH="$PWD/.tools/browsers" .venv/bin/python -m playwright install $with_deps chromium \
            >"$log" 2>&1 || stop "Chromium could not be installed: $(tail -n 3 "$log")"
        browser=$(find "$PWD/.tools/browsers" -type f -name chrome | head -n 1)
        [ -n "$browser" ] || stop "Playwright installed no Chromium; install one and put it on the path"
        ln -sf "$browser" .tools/chromium
    fi
fi

say "ready: .venv/bin/clawgate"
