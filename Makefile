# One target per verb; `make help` lists them. Everything happens in .venv, and nothing outside it changes but by `peers`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# The first of these that runs and has a version that Ray's wheels serve; set PYTHON to choose another.
PYTHON ?=
PYTHONS := $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3.14 python3 python)
# `make run ARGS="--port 7200"`, `make test ARGS="tests/protocol -k codec"`, `make bench ARGS="throughput"`,
# `make faults ARGS="--kills 40 --seed 7"`
ARGS ?=
# The whole suite is shared by three processes (`tests/sharing.py`); what is chosen by hand runs in one.
SHARED := -n 3 --dist loadfile --no-loadscope-reorder
# Where this is set, each process of a server compiles all of its code anew at each start: 1.5 s of CPU instead of 0.5.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run test lint types bench faults peers clean

help: ## say what the targets do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed $(VENV)/.installed-dev ## make .venv and install, with what tests and lint need

# No shell stands between make and the server: both get Ctrl-C, make waits, and the server's end is quiet.
run: $(VENV)/.installed ## start the server on its embedded default; Ctrl-C drains and stops it
	@$(BIN)/throughline serve $(ARGS)

test: $(VENV)/.installed-dev ## run the whole suite and say what was skipped and why
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),$(SHARED))

lint: $(VENV)/.installed-dev ## ruff: rules and form
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## mypy --strict
	@$(BIN)/mypy

bench: $(VENV)/.installed-dev ## run a benchmark; ARGS names it and its options
	@$(BIN)/python -m benchmarks $(if $(ARGS),$(ARGS),throughput)

faults: $(VENV)/.installed-dev ## kill a live server again and again under load, and check every promise
	@$(BIN)/python -m tests.faults $(if $(ARGS),$(ARGS),--kills 20 --placement both)

peers: ## install the outside programs that some tests talk to (Debian, Ubuntu)
	@scripts/peers

clean: ## remove .venv and what tools left; ./data stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: set-up runs again only where what it installs from has changed.

$(BIN)/python:
	@scripts/make-venv $(VENV) $(PYTHONS)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Throughline into $(VENV); the first time takes a minute or two."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(VENV)/.installed
	@echo "Installing what tests, lint and types need."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
