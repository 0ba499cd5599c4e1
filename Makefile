# Needs make and Python 3.11 or newer; everything else goes into .venv. `make` shows the targets.

VENV := .venv
BIN  := $(VENV)/bin
ARGS ?=
CHROMIUM ?= /usr/bin/chromium

# The first command that is really Python 3.11+, or PYTHON=/path/to/python on the command line.
NEWEST_FIRST := python3.11 python3 python3.14 python3.13 python3.12 python
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(NEWEST_FIRST); do \
	"$$p" -c '$(IS_NEW_ENOUGH)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

# What `make quick` runs: decisions, proof and the engine's behaviour, within a minute.
QUICK_TESTS := tests/engine $(wildcard tests/machines/test_[cdit]*.py)

# Tests, and the examples in docstrings.
TESTED := tests src machines tui scheduler

# Tests wait more than they work, so four at a time also on two cores; a file stays with one process and its fixtures.
PARALLEL := -n 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo quick check lint format types imports test test-long test-browser pictures bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## build .venv with everything (again only when pyproject.toml changes)

demo: $(VENV)/.runtime ## run the main job on a database of its own; ARGS="--tui" opens the console
	@$(BIN)/grantflow demo $(ARGS)

quick: $(VENV)/.dev ## lint, types and the fast tests: before each commit, within a minute
	@$(MAKE) --no-print-directory lint types imports
	$(BIN)/pytest -q -x $(PARALLEL) -m "not slow" $(QUICK_TESTS)

check: $(VENV)/.dev ## lint, types, import rules, tests: what CI runs before test-browser
	@$(MAKE) --no-print-directory lint types imports test

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check

format: $(VENV)/.dev ## let ruff fix and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

imports: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports --no-logo

test: $(VENV)/.dev ## the tests
	$(BIN)/pytest -q $(PARALLEL) -m "not slow and not browser" --doctest-modules $(TESTED) $(ARGS)

test-long: $(VENV)/.dev ## the tests, the slow ones included
	$(BIN)/pytest -q -m "not browser" --doctest-modules $(TESTED) $(ARGS)

test-browser: $(VENV)/.dev ## the tests in a real browser; CHROMIUM=/path names another one, and none is a failure
	@[ -x "$(CHROMIUM)" ] || { echo "make: there is no browser at $(CHROMIUM); set CHROMIUM=/path/to/chromium" >&2; exit 1; }
	CHROMIUM="$(CHROMIUM)" $(BIN)/pytest -q -m browser tests/hosting $(ARGS)

pictures: $(VENV)/.dev ## draw the guides' pictures anew: pages with a real browser, the console from the demo
	$(BIN)/python -m tests.tui.pictures
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m tests.hosting.pictures

bench: $(VENV)/.dev ## measure beside a raw baseline; ARGS picks benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove caches and builds; .venv stays
	rm -rf build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "make: no Python 3.11 or newer found; install one or run make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c '$(IS_NEW_ENOUGH)' || { echo "make: $(PYTHON) is older than Python 3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

# The two stamps share pyproject.toml; the larger installation also stands for the smaller one.
$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	@echo "installing grantflow into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing grantflow and its development tools into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.runtime $@
