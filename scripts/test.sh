#!/usr/bin/env bash
# Runs every test. One private engine serves the whole run; with CI=true a missing engine or browser is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
exec "$python" -m gateway.sandbox.engine run --if-any -- "$python" -m pytest -q "${@:-tests}"
