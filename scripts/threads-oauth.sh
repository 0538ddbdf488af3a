#!/usr/bin/env bash
# The policy's own command for Threads; the work is done by `clawgate auth`.
set -euo pipefail
exec "$(dirname "$0")/../.venv/bin/clawgate" auth login threads --tenant "${1:-nanoclaw}"
