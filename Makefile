# `make help` lists the targets. Variables: ARGS, JOBS, PYTHON, TORCH, PIP_FLAGS, VENV (see README.md).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
# the first of these that is 3.11 or newer makes the virtual environment
PYTHON ?= python3.11 python3
# build of torch, such as cpu or cu126; empty: what the package index gives
TORCH ?=
PIP_FLAGS ?=
# test files that run side by side
JOBS ?= 2
# further words for train.py or pytest
ARGS ?=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --constraint constraints.txt $(PIP_FLAGS) \
	$(if $(TORCH),--extra-index-url https://download.pytorch.org/whl/$(TORCH))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: install
install: $(VENV)/.installed ## make .venv with the package in it

.PHONY: train
train: $(VENV)/.installed ## install if needed and run the main job; ARGS="key=value ..." changes it
	$(BIN)/python train.py model=prnn md=polymer $(ARGS)

.PHONY: test
test: $(VENV)/.installed-dev ## install what tests need and run them, with coverage; ARGS for pytest
	OMP_NUM_THREADS=1 WANDB_MODE=offline $(BIN)/python -m pytest --cov --numprocesses $(JOBS) --dist loadfile $(ARGS)

.PHONY: lint
lint: $(VENV)/.installed-dev ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: acceptance
acceptance: $(VENV)/.installed-dev ## run the long tests behind the committed results
	$(BIN)/python -m pytest -m acceptance $(ARGS)

.PHONY: bench-md
bench-md: $(VENV)/.installed-dev ## measure the MD engine against its peers; ARGS="--quick --json FILE"
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/md_engine.py $(ARGS)

.PHONY: bench-labels
bench-labels: $(VENV)/.installed-dev ## measure the label store; ARGS="--quick --json FILE --folder FOLDER"
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/label_store.py $(ARGS)

.PHONY: bench-sweeps
bench-sweeps: $(VENV)/.installed-dev ## measure what sweeps add to their jobs; ARGS="--quick --json FILE"
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/sweeps.py $(ARGS)

.PHONY: bench-surrogates
bench-surrogates: $(VENV)/.installed-dev ## measure surrogates against LAMMPS and JAX; ARGS="--quick --json FILE"
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/surrogates $(ARGS)

.PHONY: clean
clean: ## remove caches and builds; runs in outputs/ and .venv stay
	rm -rf dist .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.* htmlcov
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## clean, and remove .venv
	rm -rf $(VENV)

$(VENV)/.created:
	@for python in $(PYTHON); do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			$$python -m venv $(VENV) && touch $@; exit; \
		fi; \
	done; \
	echo "error: none of these is Python 3.11 or newer: $(PYTHON). Name one: make PYTHON=/path/to/python3.11" >&2; \
	exit 1

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev,reference,cluster,tensorboard]'
	@touch $@ $(VENV)/.installed
