# Each target sets up what it needs in .venv by itself; Python 3.11+ and make are all it asks for.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
DOCS := $(VENV)/.docs
RELEASE := $(VENV)/release

# The tests start hundreds of interpreters, which read what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo run test quick chaos bench check format docs shots docs-site lock release-check clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: $(RUNTIME) ## Watch messages being accepted, answered, delivered and surviving a hard kill
	@$(BIN)/answerback demo

run: $(RUNTIME) ## Serve on 127.0.0.1:8080 (settings from the environment and .env)
	@$(BIN)/answerback serve

test: $(DEV) ## Run the whole test suite
	@$(BIN)/python -m pytest -n 5 --dist worksteal

quick: $(DEV) ## Run the tests that need no process and no server, in a minute or two
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m quick

chaos: $(DEV) ## Kill whatever can be killed, for about half an hour; QUICK=1 for less than a minute
	@$(BIN)/python -m chaos $(if $(QUICK),--quick)

bench: $(DEV) ## Measure the service beside its peers, for about half an hour; QUICK=1 for a few minutes
	@$(BIN)/python -m bench $(if $(QUICK),--quick)

check: $(DEV) ## Lint, types, import floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(DEV) ## Format the source and sort its imports
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(DEV) ## Write settings, errors, metrics and routes into docs/reference and .env.example
	@$(BIN)/python -m answerback.testing.docs

shots: $(DEV) ## Write pictures of the console into docs/images (needs Chromium)
	@PYTHONPATH=tests/helpers $(BIN)/python tests/browser/shots.py

docs-site: $(DOCS) ## Build the documentation as a web site, in site/; a broken link is an error
	@sed 's!\(](\|src="\)docs/!\1!g' README.md > docs/index.md
	@$(BIN)/zensical build --clean --strict

lock: $(DEV) ## Resolve the dependencies anew into requirements*.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group build -o requirements-build.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements-build.lock pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements.lock --all-extras pyproject.toml -o requirements-fleet.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements-fleet.lock --all-extras --group dev pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements-dev.lock --group docs -o requirements-docs.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group release -o requirements-release.lock

release-check: $(DEV) $(RELEASE)/.ready ## Build the package and its SBOM into dist/, look for known vulnerabilities (needs internet)
	@rm -rf dist
	@$(BIN)/uv build -q
	@$(RELEASE)/bin/cyclonedx-py requirements requirements-fleet.lock --pyproject pyproject.toml --output-reproducible --output-file dist/answerback.cdx.json
	@$(RELEASE)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements-fleet.lock \
	  || { echo "release-check failed: a dependency has a known vulnerability, or the service that knows them could not be asked: see above" >&2; exit 1; }

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache site docs/index.md

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("answerback needs Python 3.11 or newer; say which with PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): $(BIN)/python requirements.lock requirements-build.lock pyproject.toml
	@echo "Setting up $(VENV) (once)…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock -r requirements-build.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo "Setting up the development tools in $(VENV) (once)…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(RELEASE)/.ready: $(BIN)/python requirements-release.lock
	@echo "Setting up what checks a release in $(RELEASE) (once)…"
	@$(PYTHON) -m venv $(RELEASE)
	@$(RELEASE)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-release.lock
	@touch $@

$(DOCS): $(DEV) requirements-docs.lock
	@echo "Setting up what builds the documentation in $(VENV) (once)…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@
