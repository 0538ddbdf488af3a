#!/bin/sh
# The owner's quick-audit.sh and quick-harden.sh: both are links to this file of the program, and which one is meant says the
# name it is called by. The tenant is the one in whose folder the link lies. See docs/audit.md.
set -eu
here=$(dirname "$(readlink -f "$0")")
program=$here/../../../../../bin/openclaw                        # installed: <prefix>/lib/pythonX/site-packages/openclaw/audit
[ -x "$program" ] || program=$here/../../.venv/bin/openclaw     # a checkout
[ -x "$program" ] || program=openclaw
folder=$(cd "$(dirname "$0")/../../.." && pwd -P)
case ${folder##*/} in
    .*) ;; # ~/.openclaw, where Compose mounts it: the container's environment says which state it is
    *) set -- --tenant "${folder##*/}" --state "${folder%/*}" "$@" ;;
esac
exec "$program" security "$(basename "$0" .sh)" "$@"
