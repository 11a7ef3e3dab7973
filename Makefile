# Everything here works on a fresh machine with Python >= 3.11 and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SETUP  := $(VENV)/.setup
DEMO   := $(VENV)/.demo
INTEROP := $(VENV)/.interop

.PHONY: help demo test install interop compiled kube-assets fmt lint types test-fast test-all coverage golden fuzz bench check ci clean
.DEFAULT_GOAL := help

help:  ## Show what can be made
	@awk -F ':.*## ' '/^[a-z\/.-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(SETUP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python {sys.version.split()[0]} is too old: fromzero needs 3.11 or newer (make PYTHON=python3.12)")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q --disable-pip-version-check -e . --group dev
	@touch $@

$(DEMO): $(SETUP)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo]'
	@touch $@

demo: $(DEMO)  ## Watch real models sleep, wake, scale and sleep again (about a minute)
	$(BIN)/fromzero demo

test: lint types  ## Set up and run the checks and the tests
	HYPOTHESIS_PROFILE=$(if $(CI),ci,default) $(BIN)/python -m pytest

install: $(SETUP)  ## Make .venv with fromzero and its development tools

interop: $(INTEROP)  ## Install the heavy packages whose tests skip without them

$(INTEROP): $(DEMO) tests/interop/setup.sh
	PYTHON=$(PYTHON) sh tests/interop/setup.sh
	@touch $@

compiled: $(SETUP)  ## Compile what is busy and run its tests on that
	$(BIN)/python -m tests.compiled

kube-assets:  ## Build the parts of a real Kubernetes that its tests run (minutes, once)
	$(PYTHON) -m tests.kube.assets

fmt: $(SETUP)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(SETUP)  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SETUP)  ## Check types
	$(BIN)/mypy

test-fast: $(SETUP)  ## Only the tests that take moments
	$(BIN)/python -m pytest -m 'not slow and not interop'

test-all: $(SETUP)  ## Everything, with many more random cases
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest

coverage: $(SETUP)  ## Fail unless the pure cores are covered, branch by branch
	$(BIN)/coverage run --branch --source=autoscaler/core,activator/core -m pytest -q tests/autoscaler/core tests/activator/core autoscaler/core activator/core
	$(BIN)/coverage report --fail-under=100 --skip-covered --show-missing

manifests/install.yaml: $(wildcard manifests/base/* manifests/default/*)  ## Render the one file to apply
	"$$($(PYTHON) -m tests.kube.assets)/kubectl" kustomize manifests/default > $@

golden: $(SETUP)  ## Rewrite the golden reports, then show what changed
	$(BIN)/python -m tests.golden.write
	git diff --stat -- tests/golden

fuzz: $(SETUP)  ## Look for requests that two could read differently, for a minute
	$(BIN)/python -m tests.fuzz.http1 --seconds 60

bench: $(INTEROP)  ## Run the benchmarks (nginx and a C compiler for the proxy's)
	for each in decide simulate switchboard idle wake proxy link; do $(BIN)/python -m benchmarks.$$each || exit 1; done

check: test coverage  ## What must pass before a commit

ci: kube-assets interop test-all coverage  ## What .ci/run relies on

clean:  ## Remove everything that was made
	rm -rf $(VENV) .venv-* .compiled .models .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
