# Every command of the project. Each sets up what it needs, on a fresh machine too: an
# environment in .venv with the versions and hashes of requirements.lock and, for the tests and
# the benchmarks, Redis, PostgreSQL, Kafka and a DynamoDB. `make` alone lists the commands.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Where it is set, each of the hundreds of processes of the tests compiles every library again.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PEERS := .venv-feast
BIN := $(VENV)/bin
# The lock is complete, so there is nothing to resolve; byte code is made on first import.
PIP_INSTALL = -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off --no-compile

# Settings for a run:  make test WORKERS=0 ARGS="-k codec -x" PROFILE=nightly
WORKERS ?= 3
ARGS ?=
PROFILE ?=
STORE ?=
UPGRADE ?=
KILLS ?= 20
SEEDS ?=
SEED ?=

PYTEST = $(if $(PROFILE),HYPOTHESIS_PROFILE=$(PROFILE) )$(BIN)/python -m pytest -n $(WORKERS)

.PHONY: help demo test random chaos check format bench bench-peers docs lock clean conformance setup services bench-services

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: setup ## a tour on real flights: define, plan, train, serve, prove that nothing differs
	$(BIN)/noskew demo $(ARGS)

# Compiled once before, and not by each worker at the same time.
test: setup services ## all tests, in random order (ARGS="-k name -x", WORKERS=0, PROFILE=nightly)
	$(BIN)/python -m scripts.compile_kernel
	$(PYTEST) $(ARGS)

random: setup services ## the property tests with new examples (SEEDS=20; SEED=7 repeats one; ARGS=tests/kernel)
	$(BIN)/python -m scripts.random_seeds --seeds $(or $(SEEDS),20) $(if $(SEED),--seed $(SEED)) -- -n $(WORKERS) $(ARGS)

# Seeds and kills are those of an hour; the report goes into the page that states the promise.
chaos: setup services ## faults at full count, and their report in docs/reliability.md
	rm -f bench/results/chaos.jsonl
	started=$$SECONDS; CI=1 CHAOS_REPORT=$(CURDIR)/bench/results/chaos.jsonl CHAOS_KILLS=$(KILLS) SIMULATION_SEEDS=$(or $(SEEDS),20000) \
		$(PYTEST) --timeout=1800 -m chaos $(ARGS); \
	$(BIN)/python scripts/chaos_report.py bench/results/chaos.jsonl $$((SECONDS - started))

conformance: setup services ## the tests every store of a kind must pass (STORE=redis for one store)
	$(PYTEST) -m conformance $(if $(STORE),-k $(STORE)) $(ARGS)

# No cache for the last: it remembers what an import meant before a new module was there.
check: setup ## lint, formatting, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports --no-cache

format: setup ## repair formatting and what the linter can repair
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: setup bench-services ## the benchmarks of a quarter of an hour, kept in bench/results
	$(BIN)/python -m bench $(ARGS)

bench-peers: setup bench-services $(PEERS)/.installed ## the benchmarks, with Feast beside noskew
	$(BIN)/python -m bench --peers $(ARGS)

docs: setup ## build the documentation
	$(BIN)/python -m docs.build $(ARGS)

lock: $(VENV)/.installed ## pin the dependencies of pyproject.toml again (UPGRADE=1 for newer ones)
	$(BIN)/uv pip compile pyproject.toml --quiet --all-extras --generate-hashes --universal \
		--python-version 3.11 --no-header --no-emit-index-url --no-emit-find-links \
		$(if $(UPGRADE),--upgrade) --output-file requirements.lock

clean: ## remove caches and build output (the environments stay)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests bench docs examples scripts -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/.installed $(VENV)/.project ## the environment in .venv (the others do this themselves)

services: ## Redis, PostgreSQL, Kafka and a DynamoDB, installed if absent (likewise)
	@scripts/system_packages.sh

# Of its own, so that who runs the tests need not have what only the benchmarks use.
bench-services: ## the same and wrk, the load of the HTTP benchmarks (likewise)
	@scripts/system_packages.sh wrk

# A stamp, so that an unchanged lock costs nothing. `--require-hashes` refuses any file but those
# that were locked. What has no wheel is built with the locked tools, so those come first.
$(VENV)/.installed: requirements.lock
	scripts/make_venv.sh $(VENV)
	awk '/^[^ ]/ { wanted = /^setuptools==/ } wanted' requirements.lock > $(VENV)/build-tools.txt
	$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps --requirement $(VENV)/build-tools.txt
	$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps --no-build-isolation --requirement requirements.lock
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) --no-deps --no-index --no-build-isolation --editable .
	@touch $@

# Feast pins older versions of the same libraries, so it lives in an environment of its own.
$(PEERS)/.installed: bench/peers/requirements.txt
	scripts/make_venv.sh $(PEERS)
	$(PEERS)/bin/python $(PIP_INSTALL) --requirement bench/peers/requirements.txt
	@touch $@
