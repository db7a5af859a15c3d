# wopt: `make demo` and `make test` do everything on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/,%,$(dir $(wildcard plugins/*/pyproject.toml)))
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow soak benchmark evidence docs lint format clean

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make .venv with the core and all plugins, editable

$(STAMP): pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test,lint]' $(addprefix --editable ./,$(PLUGINS))
	@touch $@

demo: $(STAMP)  ## train on image patches (about 4 minutes) and write runs/demo/report.html
	rm -rf runs/demo
	$(BIN)/wopt run examples/patches.toml --out runs/demo

test: $(STAMP)  ## the fast tests of the core and of every plugin
	$(BIN)/python -m pytest -q -n auto --dist worksteal

test-slow: $(STAMP)  ## the tests that train for minutes
	$(BIN)/python -m pytest -q -m slow

SOAK ?= --seconds 100000
soak: $(STAMP)  ## kill 100 runs and damage 10,000 files; goes on where it was stopped (SOAK="--seconds 600")
	OMP_NUM_THREADS=1 $(BIN)/python tests/reliability/soak.py kills $(SOAK)
	OMP_NUM_THREADS=1 $(BIN)/python tests/reliability/soak.py files $(SOAK)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m soak

benchmark: $(STAMP)  ## what wopt costs against its rivals, as ratios (about half an hour)
	$(BIN)/python benchmarks/run.py

evidence: $(STAMP)  ## the field's own problems beside published figures, and docs/evidence.md (hours at first; ARGS=)
	$(BIN)/python benchmarks/evidence/evidence.py $(ARGS)

docs: $(STAMP)  ## the documentation, offline, to docs/_build/html (two to three minutes)
	@$(BIN)/python -c "import furo, latex2mathml, myst_parser, sphinx_gallery" 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --editable '.[docs]'
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

lint: $(STAMP)  ## style, types and the house's import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## rewrite files in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove .venv and caches, keep runs
	rm -rf $(VENV) docs/_build docs/auto_gallery docs/auto_evidence docs/reference .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './runs/*' -prune -exec rm -rf {} +
