# Each target can be the first on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := run/demo
PORT ?= 26000

.PHONY: setup demo test lint test-peers bench bundle docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@echo "setting up $(VENV) (the packages are downloaded once) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip setuptools
	@$(BIN)/python -m pip install --quiet -e '.[ocr,postgres,dev]'
	@touch $(STAMP)

demo: setup
	@sh .ci/demo.sh $(BIN) $(DEMO) $(PORT)

test: setup lint
	@sh .ci/peers/install.sh
	@$(BIN)/python -m pytest

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test-peers: setup
	@sh .ci/peers/install.sh
	@$(BIN)/python -m pytest tests/peers tests/store

bench: setup
	@$(BIN)/python -m pip install --quiet -e '.[bench]'
	@$(BIN)/python -m benchmarks.reading
	@$(BIN)/python -m benchmarks.run
	@$(BIN)/python -m benchmarks.reload
	@$(BIN)/python -m benchmarks.plughost

bundle: setup
	@sh .ci/bundle.sh $(BIN)

docs: setup
	@$(BIN)/python -m gateway.docs docs

clean:
	rm -rf run build dist .pytest_cache .mypy_cache .ruff_cache
