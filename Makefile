# The everyday commands. `make help` lists them; each bootstraps what it needs into .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# The first interpreter that really starts and is new enough (a version manager's shim may not).
FIND_PYTHON = for p in python3.12 python3.11 python3 python3.13 python3.14 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$p"; break; }; done
PYTEST_WORKERS ?= 2
# Tests run shuffled, the same way each time: what passed here is what passes elsewhere. Other numbers try other orders.
TEST_SEED ?= 20261121
# A test that fails is tried twice more, because other people's load can starve a two-core machine of
# seconds; every rerun is printed as R with its traceback at the end (-rR) and is a bug to mend, not a pass to enjoy.
PYTEST_FLAGS ?= -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder --timeout 300 --reruns 2 -rR --randomly-seed $(TEST_SEED)
TESTS ?= tests

.PHONY: help venv venv-dev run test lint types format bench chaos clients conformance lock clean

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## Make .venv with everything that running and testing need

$(STAMP): requirements/base.txt requirements/test.txt
	@python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then echo "objstore needs Python 3.11 or newer with the venv module (Debian: apt install python3-venv)." >&2; exit 1; fi; \
	if ! [ -x $(PYTHON) ] || ! $(PYTHON) -c '' 2>/dev/null; then \
		echo "Making $(VENV) with $$($$python --version)"; rm -rf $(VENV); "$$python" -m venv $(VENV) || exit 1; fi
	@echo "Installing the pinned dependencies into $(VENV)"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --prefer-binary \
		-r requirements/base.txt -r requirements/test.txt
	@touch $@

venv-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: $(STAMP) requirements/dev.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --prefer-binary -r requirements/dev.txt
	@touch $@

run: venv ## Start the whole store on this machine (Ctrl-C stops it, a second run resumes it)
	@exec $(PYTHON) -m objstore_site.local

test: venv ## Run every test on real PostgreSQL and Redis; a rerun after a failure is printed and is a bug
	$(PYTHON) -m pytest $(PYTEST_FLAGS) $(TESTS)

lint: venv-dev ## Check format, style and the floors of the house
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports

format: venv-dev ## Rewrite files in the house format and mend what can be mended
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

types: venv-dev ## mypy, strict on core, jobs, storage_nodes, objects, s3, workers
	$(VENV)/bin/mypy

bench: venv ## Measure a store of its own; ARGS="--full", or ARGS=--yardsticks: beside s3rver and moto
	$(PYTHON) -m benchmarks $(ARGS)

chaos: venv ## The long campaign: kill processes at every failpoint, remove drives, replay the ledger
	$(PYTHON) -m tests.chaos $(ARGS)

clients: venv ## Every real client against a live store, npm's and apt's too; CLIENTS=full: 5,000 files, 2 GiB
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --prefer-binary -r requirements/clients.txt
	@$(PYTHON) -m tests.clients.installed
	CLIENTS=$(CLIENTS) $(PYTHON) -m pytest --timeout 900 -rs -m "not chaos" $(ARGS) tests/clients

conformance: venv ## A public S3 suite against a store of its own: SUITE=<git dir> KIT=<dir> [ARGS="-g copy"]
	@[ -n "$(SUITE)" ] && [ -n "$(KIT)" ] || { echo "make conformance SUITE=<bare git directory of the suite> KIT=<directory of run_s3tests.sh> [ARGS=\"-g copy -n 2\"]" >&2; exit 2; }
	$(PYTHON) -m tests.s3.suite "$(SUITE)" "$(KIT)" --arguments="$(ARGS)"

lock: ## Resolve requirements/*.in afresh and pin the result
	@bash requirements/lock.sh "$$($(FIND_PYTHON))"

clean: ## Remove caches and .venv (never the store's data)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
