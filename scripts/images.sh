#!/bin/sh
# Builds the images of compose.yaml: clawgate-gateway:local, nanoclaw:local, openclaw:local.
#
#   scripts/images.sh                        on a base made here
#   scripts/images.sh --base IMAGE           on an image of a registry: Python 3.11 with venv, curl, time zones
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || scripts/setup.sh
exec .venv/bin/python -m gateway.workers.image.product "$@"
