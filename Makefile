# Two commands are enough: `make demo` and `make test`.  Both set up what is missing first.
#
#   make demo                  the site audit end to end on the embedded cloud, on a fleet of local servers
#   make demo HOSTS=my.txt     the same on your own list
#   make demo ONCE=1           ends after the results; non-zero if anything failed
#   make test                  all tests that this machine can run; says why for those that it cannot
#   make check                 format, lint, types, import contracts, then the tests
#   make bench                 figures side by side with the peers (QUICK=1 for a short run)
#   make synth                 CloudFormation templates into cdk.out
#   make images                build the container images with Podman or Docker
#   make pins                  compile requirements/*.txt anew from pyproject.toml

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
MINISTACK := .glovebox/ministack

# Companies put their own authorities into the system's store; uv's built-in roots do not hold them.
export UV_SYSTEM_CERTS := 1
export UV_NO_PROGRESS := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# The library validates every template at synth, which triples its time: CI does it once (tools/ci-checks).
export CDK_VALIDATION ?= false

.PHONY: help setup demo test lint types contracts check bench synth images pins format clean

help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

$(BIN)/uv:
	@tools/make-venv $(VENV)

$(VENV)/.ready: $(BIN)/uv requirements/dev.txt pyproject.toml tools/ensure-node
	$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt requirements/uv.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@tools/ensure-node $(VENV)
	@touch $@

# The local cloud pins its own botocore, so it lives in an environment of its own.
$(MINISTACK)/.ready: $(BIN)/uv requirements/ministack.txt
	$(UV) venv --quiet --allow-existing --python $(BIN)/python $(MINISTACK)
	$(UV) pip sync --quiet --require-hashes --python $(MINISTACK)/bin/python requirements/ministack.txt
	@touch $@

setup: $(VENV)/.ready $(MINISTACK)/.ready

demo: setup
	$(BIN)/glovebox up $(if $(HOSTS),--hosts '$(HOSTS)') $(if $(ONCE),--once) $(if $(PORT),--port $(PORT)) $(if $(ENGINE),--engine $(ENGINE))

test: setup
	$(BIN)/python -m pytest $(PYTEST)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy
	$(BIN)/pyright

contracts: setup
	$(BIN)/lint-imports

check: lint types contracts test

bench: setup
	$(BIN)/python -m bench.findings
	$(BIN)/python -m bench $(if $(QUICK),--quick)

synth: setup
	$(BIN)/python app.py

images: setup
	command -v podman >/dev/null && tools/base-image || true
	$(BIN)/python tools/build-images

pins: setup
	tools/pins

clean:
	rm -rf $(VENV) .glovebox cdk.out node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
