#!/usr/bin/env bash
# Runs every test. One private engine serves the whole run; with CI=true a missing engine or browser is a failure.
#
# In CI, where the machine may be busy with others, a handful of failed tests is tried once more, alone and named: what
# fails again fails the run. Elsewhere a failure is a failure at once.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
most_repeated=5

run() { "$python" -m gateway.sandbox.engine run --if-any -- "$python" -m pytest -q "$@"; }

status=0
run "${@:-tests}" || status=$?
failed=.pytest_cache/v/cache/lastfailed
if [ "$status" = 1 ] && [ "${CI:-}" = true ] && [ -s "$failed" ]; then
    count=$("$python" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))))' "$failed")
    if [ "$count" -le "$most_repeated" ]; then
        echo "test: $count failed in company and are tried once more alone:"
        "$python" -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' "$failed"
        status=0
        run --last-failed --last-failed-no-failures none "${@:-tests}" || status=$?
    fi
fi
exit "$status"
