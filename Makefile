# Every target makes the virtual environment it needs, once; `make help` lists them.
# Another interpreter: make PYTHON=python3.13 test. Another place: make VENV=/path/to/venv test.

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/bench.json

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: quickstart test stress lint bench docs help clean

quickstart: $(VENV)/.user ## train, sample, evaluate and draw on a small data set, into runs/quickstart
	$(BIN)/jemstone quickstart --out runs/quickstart

test: lint ## lint, then the tests (not those marked slow, gpu or stress)
	$(BIN)/python -m pytest

stress: $(VENV)/.dev ## the long counts, and the slow tests
	$(BIN)/python -m pytest -m "stress or slow" --timeout 0

lint: $(VENV)/.dev ## style, formatting, types, and which room imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## measure speed beside a plain baseline, on an idle machine: make bench OUT=runs/bench.json
	$(BIN)/jemstone bench --out $(OUT)

docs: $(VENV)/.docs ## build the pages into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going docs docs/_build/html

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

clean: ## remove caches and built pages; runs and the environment stay
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist docs/_build
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Tests do not fight over cores: two threads, unless the environment says otherwise.
test stress: export OMP_NUM_THREADS ?= 2

# Stamps: an environment is installed again only when pyproject.toml changes.
new_enough = $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)

$(VENV)/.made:
	$(if $(filter True,$(new_enough)),,$(error Jemstone needs Python 3.11 or newer, which $(PYTHON) is not: name another, as in `make PYTHON=python3.12 test`))
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.user: pyproject.toml | $(VENV)/.made
	$(PIP) install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.made
	$(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/.user

$(VENV)/.docs: pyproject.toml | $(VENV)/.made
	$(PIP) install -e '.[docs]'
	@touch $@ $(VENV)/.user
