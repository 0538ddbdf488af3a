# The menu of the project. `make run` and `make test` are all a newcomer needs; both set up what is missing.
SHELL := /bin/bash
PY := .venv/bin/python
export PYTHONDONTWRITEBYTECODE ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests run test check format lint types layers unit docs docs-check bench bench-agent bench-protocol selftest torture torture-connections arm64 clean lock

help: ## Show this menu
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: ## Install everything and build the worker image; leaves nothing running
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

run: setup ## Start the offline world in the foreground (Ctrl-C ends everything)
	@exec .venv/bin/clawgate sandbox $(ARGS)

test: setup-tests format lint types layers docs-check ## Set up what is missing and run all tests (one: make test T=path)
	@scripts/test.sh $(T)

check: .venv/bin/ruff format lint types layers unit docs-check ## Format, lint, types, layers, unit tests, docs: under a minute

.venv/bin/ruff:
	@scripts/setup.sh --tests

format: ## Check formatting (fix: .venv/bin/ruff format)
	@.venv/bin/ruff format --check -q . || { echo "run: .venv/bin/ruff format"; exit 1; }

lint:
	@.venv/bin/ruff check -q .

types:
	@.venv/bin/mypy --no-error-summary

layers:
	@out=$$(.venv/bin/lint-imports 2>&1) || { echo "$$out"; exit 1; }

unit: ## Unit, property and documentation tests only
	@$(PY) -m pytest -q tests/unit tests/property tests/docs $(T)

docs: ## Write the generated documents anew
	@$(PY) scripts/generate_docs.py

docs-check:
	@$(PY) scripts/generate_docs.py --check

bench: ## Print the numbers of DESIGN section 6 beside their bars
	@$(PY) -m tests.bench.run $(ARGS)

bench-agent: setup-tests ## OpenClaw's agent: decisions, turns without model time, 100 sessions × 200 turns; ARGS="--turns N --idle"
	@$(PY) -m tests.bench.openclaw_agent $(ARGS)

bench-protocol: setup-tests ## The protocol's speed beside the original's (npm within reach; else ours alone); ARGS=--quick
	@$(PY) -m tests.bench.openclaw_protocol $(ARGS)

torture-connections: setup-tests ## 10,000 strangers at OpenClaw's door, 500 at once, while a paired client works; ARGS="--total N"
	@$(PY) -m tests.torture.connections $(ARGS)

torture: setup-tests ## Kill processes at N random named places (default 1000; SEED=… repeats a run), tell N stories of posts; nothing may be lost
	@$(PY) -m tests.torture.posts --seeds $(or $(N),1000)
	@$(PY) -m gateway.sandbox.engine run --if-any -- $(PY) -m tests.torture.run --kills $(or $(N),1000) $(if $(SEED),--seed $(SEED))

selftest: ## Check this machine: both bots and the Control UI, end to end
	@.venv/bin/clawgate selftest

arm64: ## Show that every wheel and Debian package exists for 64-bit ARM (downloads metadata only)
	@$(PY) -m gateway.workers.image.arm64

lock: ## Resolve requirements/*.txt (the newest of everything: ARGS=--upgrade)
	@scripts/lock.sh $(ARGS)

clean: ## Remove what setup made in this checkout
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
