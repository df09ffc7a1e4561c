# make song   songs of example/test.jsonl with the bundled model -> output/
# make test   lint, types and the whole test suite
# Each installs into .venv what it needs; run again, it installs nothing.

# The first Python fit for this; `make song PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install

.PHONY: help song test lint clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

song: $(VENV)/.package
	$(BIN)/songbloom generate --input-jsonl example/test.jsonl --output-dir output

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/.package-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

# Stamps: each is made once its step has succeeded, and again when pyproject.toml changes.
$(VENV)/.package: $(VENV)/.made pyproject.toml
	$(PIP) -e .
	@touch $@

$(VENV)/.package-dev: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[dev,corpus,studio,train]'
	@touch $@ $(VENV)/.package

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "songbloom needs Python 3.10 to 3.13: install one, or make PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v <= (3, 13) else "songbloom needs Python 3.10 to 3.13, $(PYTHON) is %d.%d: make PYTHON=/path/to/another" % v)'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "$(PYTHON) has no venv module: install it (Debian: python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) build dist output .pytest_cache .ruff_cache .mypy_cache .coverage songbloom.egg-info
