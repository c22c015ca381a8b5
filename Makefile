# Each target can be the first on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := run/demo
PORT ?= 26000
# So many processes share the tests, file by file: most of a test's time is a daemon's start. Those marked
# alone, which hold real daemons to times, have the machine to themselves.
JOBS ?= 2

.PHONY: setup demo test lint test-peers test-browser faults bench bundle docs clean

# pip compiles what it installs, but nothing of a package that it only points at: without this each command compiles its sources.
setup: $(STAMP)
	@$(BIN)/python -m compileall -q gateway plugins

$(STAMP): pyproject.toml
	@echo "setting up $(VENV) (the packages are downloaded once) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip setuptools
	@$(BIN)/python -m pip install --quiet -e '.[ocr,papers,postgres,dev]'
	@touch $(STAMP)

demo: setup
	@sh .ci/demo.sh $(BIN) $(DEMO) $(PORT)

test: setup lint
	@sh .ci/peers/install.sh
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test-peers: setup
	@sh .ci/peers/install.sh
	@$(BIN)/python -m pytest tests/peers tests/out tests/store

test-browser: setup
	@sh .ci/peers/browser.sh
	@$(BIN)/python -m pytest tests/browser

# MACHINES: kills, points, cuts, storage, upsets, order, postgres and their controls; default: all. docs/faults.md tells what ROUNDS counts.
faults: setup
	@sh .ci/peers/faults.sh
	@$(BIN)/python -m tests.faults $(MACHINES) $(if $(ROUNDS),--rounds $(ROUNDS)) --seed $(or $(SEED),1)

bench: setup
	@$(BIN)/python -m pip install --quiet -e '.[bench]'
	@$(BIN)/python -m benchmarks.reading
	@$(BIN)/python -m benchmarks.run
	@$(BIN)/python -m benchmarks.reload
	@$(BIN)/python -m benchmarks.plughost
	@$(BIN)/python -m benchmarks.duty
	@$(BIN)/python -m benchmarks.console
	@$(BIN)/python -m benchmarks.audit
	@sh .ci/peers/smpp.sh
	@$(BIN)/python -m benchmarks.sms
	@$(BIN)/python -m benchmarks.smtp
	@$(BIN)/python -m benchmarks.whole
	@$(BIN)/python -m benchmarks.passage
	@$(BIN)/python -m benchmarks.growth
	@sh .ci/peers/paper.sh
	@$(BIN)/python -m benchmarks.ocr
	@$(BIN)/python -m benchmarks.papers

bundle: setup
	@sh .ci/bundle.sh $(BIN)

docs: setup
	@$(BIN)/python -m gateway.docs docs

clean:
	rm -rf run build dist .pytest_cache .mypy_cache .ruff_cache
