# What a newcomer and a developer type. `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VIEWERS := tests/viewers/node_modules/.package-lock.json
SHOTS := build/artifacts
# Test processes at a time; much of a test is waiting. Each one starts servers of its own.
JOBS ?= 3
TESTS := $(BIN)/python -m pytest
IN_PARALLEL := -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: system-demo .venv ## Send a phantom study the whole way (SYSTEM=name chooses the network)
	$(BIN)/dicom-node demo $(if $(SYSTEM),--system "$(SYSTEM)")

.PHONY: test
test: system .venv viewers ## Run the whole suite, the journeys with real servers included
	FOURVIEWS_NO_SKIPS=1 $(TESTS) $(IN_PARALLEL) -m "not slow"

.PHONY: journeys
journeys: system .venv viewers ## Run only the journeys: real sockets, servers and viewers
	FOURVIEWS_NO_SKIPS=1 $(TESTS) $(IN_PARALLEL) -m "journey and not slow"

.PHONY: test-slow
test-slow: system .venv ## Run only the tests that take minutes each
	FOURVIEWS_NO_SKIPS=1 $(TESTS) -m slow --timeout 3600

.PHONY: faults
faults: system .venv viewers ## Keep every promise at full length, and print the table (ONLY=R8: one)
	FOURVIEWS_NO_SKIPS=1 $(TESTS) $(IN_PARALLEL) --promises --timeout 3600 $(if $(ONLY),-k _$(ONLY)_)

.PHONY: trace-matrix
trace-matrix: .venv ## List the tests of each promise
	@$(TESTS) -q -p no:cacheprovider --trace-matrix | sed '/^no tests/d'

.PHONY: bench
bench: system .venv ## Print how fast images are received, beside DCMTK, Orthanc and pynetdicom
	$(BIN)/python benchmarks/receiving.py

.PHONY: check
check: .venv ## Check style, types, import contracts, and run the quick tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTS) $(IN_PARALLEL) -m "not slow and not journey"

.PHONY: .venv
.venv: $(INSTALLED) ## Make the Python environment from the lock file

$(INSTALLED): requirements.lock pyproject.toml scripts/make-venv
	@scripts/make-venv $(VENV)
	@touch $@

.PHONY: viewers
viewers: system $(VIEWERS) ## Install OHIF and its readers, with which the tests look at results

$(VIEWERS): tests/viewers/package-lock.json tests/viewers/package.json
	@cd tests/viewers && npm ci
	@touch $@

.PHONY: screenshots
screenshots: system .venv viewers ## Picture what OHIF shows of a phantom study, in build/artifacts
	FOURVIEWS_NO_SKIPS=1 $(TESTS) -s tests/journeys/test_ohif_shows_results.py
	@ls $(SHOTS)/*.png

.PHONY: system
system: ## Add the system packages that the tests need (as root; otherwise say which)
	@scripts/add-system-packages test

.PHONY: system-demo
system-demo:
	@scripts/add-system-packages demo

.PHONY: lock
lock: ## Choose the newest fitting versions again and write the lock files
	@scripts/lock
	@scripts/lock-viewers

.PHONY: sbom
sbom: .venv ## Write the bill of materials (CycloneDX) to build/sbom.json
	@scripts/sbom build/sbom.json

.PHONY: audit
audit: .venv ## Ask the network whether anything is known against the locked packages
	@scripts/audit

.PHONY: clean
clean: ## Remove the Python environment, caches, and what the demo left
	rm -rf $(VENV) $(dir $(VIEWERS)) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
