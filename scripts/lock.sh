#!/usr/bin/env bash
# Resolves requirements: pins for development, pins with hashes for images. Names no registry.
# What is pinned stays; scripts/lock.sh --upgrade takes the newest of everything.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || .venv/bin/pip install --quiet uv
"$uv" pip compile --quiet --universal --python-version 3.11 --extra dev --no-header --no-annotate pyproject.toml -o requirements/constraints.txt "$@"
"$uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes pyproject.toml -o requirements/runtime.txt -c requirements/constraints.txt
