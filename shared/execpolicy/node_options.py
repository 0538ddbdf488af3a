"""Every option of node that ``node --help`` names; a test fails when the installed one knows one that is not here.

Covers node 18 to 24.
"""

from __future__ import annotations

from collections.abc import Mapping

_HARMLESS_FLAGS = """
    --no-warnings --no-deprecation --trace-warnings --trace-deprecation --trace-uncaught --throw-deprecation
    --pending-deprecation --frozen-intrinsics --disallow-code-generation-from-strings --no-addons
    --no-global-search-paths --jitless --no-experimental-fetch --no-experimental-websocket --enable-fips
    --force-fips --use-bundled-ca --tls-min-v1.2 --tls-min-v1.3 --tls-max-v1.2 --tls-max-v1.3
    --no-experimental-global-customevent --no-experimental-global-webcrypto --no-experimental-repl-await
    --no-experimental-require-module --no-experimental-detect-module --no-extra-info-on-fatal-exception
    --no-experimental-global-navigator --no-experimental-sqlite --no-experimental-strip-types --no-strip-types
    --no-experimental-webstorage --no-async-context-frame --no-network-family-autoselection
    --enable-network-family-autoselection --no-experimental-websocket --permission --experimental-permission
    --experimental-eventsource --experimental-websocket --no-node-snapshot --verify-base-objects --zero-fill-buffers
    --experimental-global-customevent --experimental-global-webcrypto --no-require-module
"""

_HARMLESS_VALUES = """
    --disable-proto --disable-warning --input-type --unhandled-rejections --max-http-header-size --stack-trace-limit
    --dns-result-order --network-family-autoselection-attempt-timeout --max-old-space-size --title --v8-pool-size
    --max-semi-space-size --max-old-space-size-percentage
"""

HARMLESS_FLAGS = frozenset(_HARMLESS_FLAGS.split())
"""Flags that neither read nor write anything nor give a program more than it has."""

HARMLESS_VALUES = frozenset(_HARMLESS_VALUES.split())
"""The same with a value; it comes after ``=``."""

INFORMATION = frozenset({"-v", "--version", "-h", "--help", "--v8-options", "--completion-bash"})
"""Prints something about node and ends."""

PROGRAM = frozenset({"-e", "--eval", "-p", "--print", "-pe"})
"""The next word is a program."""

_DENIED: Mapping[str, str] = {
    "runs a file or what comes in on standard input": """
        - -i --interactive -c --check --run --test --test-only --watch --watch-path --watch-preserve-output
        --watch-kill-signal --prof-process --build-sea
    """,
    "loads code before the program": """
        -r --require --import --loader --experimental-loader --experimental-default-type --experimental-policy
        --policy-integrity -C --conditions --experimental-import-meta-resolve --experimental-network-imports
        --experimental-vm-modules --experimental-wasm-modules --experimental-modules --experimental-addon-modules
        --preserve-symlinks --preserve-symlinks-main --experimental-require-module --experimental-detect-module
        --entry-url --experimental-strip-types --experimental-transform-types --experimental-config-file
        --experimental-default-config-file --experimental-sqlite --experimental-webstorage --localstorage-file
        --experimental-ffi --experimental-shadow-realm --experimental-inspector-network-resource
        --experimental-package-map --experimental-import-text
        --experimental-specifier-resolution --require-module --experimental-quic --experimental-storage-inspection
        --experimental-worker-inspection --experimental-stream-iter
    """,
    "opens a debugger": """
        --inspect --inspect-brk --inspect-port --debug-port --inspect-wait --inspect-publish-uid
        --experimental-network-inspection --experimental-worker-inspection
    """,
    "reads or writes files": """
        --env-file --env-file-if-exists --redirect-warnings --cpu-prof --cpu-prof-dir --cpu-prof-name
        --cpu-prof-interval --heap-prof --heap-prof-dir --heap-prof-name --heap-prof-interval --diagnostic-dir --prof
        --heapsnapshot-near-heap-limit --heapsnapshot-signal --report-directory --report-dir --report-filename
        --report-on-fatalerror --report-on-signal --report-signal --report-uncaught-exception --report-compact
        --report-exclude-network --report-exclude-env --build-snapshot --build-snapshot-config --snapshot-blob
        --icu-data-dir --openssl-config --openssl-shared-config --openssl-legacy-provider --tls-keylog
        --trace-event-categories --trace-event-file-pattern --abort-on-uncaught-exception --experimental-sea-config
        --use-openssl-ca --use-system-ca --disable-wasm-trap-handler --enable-source-maps --disable-sigusr1
        --track-heap-objects --trace-env --trace-env-js-stack --trace-env-native-stack
    """,
    "gives the program more rights": """
        --allow-addons --allow-child-process --allow-fs-read --allow-fs-write --allow-wasi --allow-worker --allow-net
        --allow-inspector --allow-ffi --allow-openssl-store
        --expose-gc --expose-internals --insecure-http-parser --force-context-aware
        --permission-audit
    """,
    "is not needed for running a small program": """
        --tls-cipher-list --tls-min-v1.0 --tls-min-v1.1 --secure-heap --secure-heap-min --use-largepages
        --huge-max-old-generation-size --interpreted-frames-native-stack --node-memory-debug
        --no-force-async-hooks-checks
        --force-node-api-uncaught-exceptions-policy --enable-etw-stack-walking --trace-atomics-wait --trace-exit
        --trace-promises --trace-sigint --trace-sync-io --trace-tls --trace-require-module --test-concurrency
        --test-force-exit --test-name-pattern --test-reporter --test-reporter-destination --test-shard --test-timeout
        --test-skip-pattern --test-coverage-branches --test-coverage-exclude --test-coverage-functions
        --test-coverage-include --test-coverage-lines --test-global-setup --test-isolation --test-update-snapshots
        --test-rerun-failures --test-random-seed --test-randomize --test-tags
        --experimental-test-coverage --experimental-test-module-mocks --experimental-test-isolation
        --experimental-test-snapshots --experimental-test-tag-filter --experimental-print-required-tla
        --experimental-async-context-frame --experimental-eventsource --use-env-proxy --es-module-specifier-resolution
        --experimental-test-isolation --heap-snapshot-on-oom --max-heap-size
    """,
}

DENIED: Mapping[str, str] = {name: reason for reason, names in _DENIED.items() for name in names.split()}
"""Refused options, and why: what would happen, as the end of a sentence."""


def is_known(option: str) -> bool:
    """Whether an option is classified at all."""
    return option in DENIED or option in HARMLESS_FLAGS | HARMLESS_VALUES | INFORMATION | PROGRAM
