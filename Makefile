# A stranger needs two of these: `make run` and `make test`. Each installs what it needs first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup requirements check

# The stamp is newer than the requirements once they are all in, so setup costs nothing the second time.
setup: .venv/.installed
.venv/.installed: requirements/dev.txt
	@echo "setup: installing the pinned requirements into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Pins every dependency anew, with hashes and without download addresses.
requirements:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --upgrade pyproject.toml --output-file requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --upgrade --extra dev --constraints requirements/runtime.txt pyproject.toml --output-file requirements/dev.txt

# What CI runs, in CI's order.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
