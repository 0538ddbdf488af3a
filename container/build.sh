#!/bin/sh
# Builds the worker image (operator policy: ./container/build.sh). The same as `nanoclaw workers rebuild`, which asks a
# running gateway; this one goes to the engine directly. Options are passed on, see --help.
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || {
    echo "build: there is no .venv yet: run make setup first" >&2
    exit 1
}
exec .venv/bin/python -m gateway.sandbox.engine run -- .venv/bin/python -m gateway.workers.image.build "$@"
