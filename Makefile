# `make` lists the targets. Only `setup` needs the network.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Make .venv with everything in it; at once when nothing has changed

.PHONY: demo
demo: $(STAMP) ## Train two models before your eyes, from an empty folder, then stop
	@$(BIN)/gradline demo

.PHONY: up
up: $(STAMP) ## Run the whole service on this machine until Ctrl-C
	@$(BIN)/gradline up

.PHONY: test
test: $(STAMP) ## Run every test but the cluster's
	@$(BIN)/pytest -m 'not containers' -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

.PHONY: check
check: $(STAMP) ## Format, lint, types and import contracts, as CI asks for them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: cluster-env
cluster-env: .env ## Write .env with generated secrets for docker compose, unless there is one

.PHONY: test-cluster
test-cluster: $(STAMP) wheelhouse ## Bring the compose cluster up on a real container engine and use it
	@$(BIN)/pytest -m containers tests/e2e/test_compose.py

.PHONY: openapi
openapi: $(STAMP) ## Write docs/openapi.json from the code
	$(BIN)/python -m gradline.api.write_openapi > docs/openapi.json

.PHONY: clean
clean: ## Remove .venv and caches; the data in .gradline stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# torch comes first and alone: where its CPU build is at hand, the rest then keeps it instead of the CUDA one.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Gradline needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ($$(command -v $(PYTHON)))"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing. The first time takes minutes: PyTorch and MLflow are large."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@echo "Compiling the kernels."
	@$(BIN)/python -c "import gradline.data.kernel, gradline.evaluation.kernel"
	@touch $@

# Every variable that is empty in the example becomes 32 random bytes, in hexadecimal digits.
.env:
	@umask 077; while IFS= read -r line; do case "$$line" in \
	  [A-Z]*=) printf '%s%s\n' "$$line" "$$(od -An -vN32 -tx1 /dev/urandom | tr -d ' \n')";; \
	  *) printf '%s\n' "$$line";; \
	esac; done < .env.example > $@.new && mv $@.new $@
	@echo "Wrote .env: keep it to yourself. Next: docker compose up -d --wait" >&2

# The torch that pip finds here, so that the images carry the same.
wheelhouse: constraints.txt
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest $@ '$(TORCH)'
	@touch $@
