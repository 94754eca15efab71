# What a person types here; each target says what it does, and is safe to repeat.
#
#   make setup    a virtual environment in .venv with everything cmpc needs
#   make search   set up, then `cmpc pipeline`, the whole job on the default data: a gallery network,
#                 search, train the pick, evaluate, build a bundle, query with it (10 to 30 minutes);
#                 the gallery network comes with cmpc: GALLERY=train trains it anew, for longer
#   make check    lint, formatting, types and layers
#   make test     the tests
#
# PYTHON chooses the interpreter: make setup PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS := $(if $(wildcard constraints.txt),-c constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev doctor search test test-all check lint docs

help:
	@sed -n 's/^#   make /  make /p' Makefile

setup: $(VENV)/.installed-all

setup-dev: $(VENV)/.installed-dev

# The stamp is newer than what it was made from: a second `make` installs nothing.
$(VENV)/.installed-%: pyproject.toml $(wildcard constraints.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "cmpc needs Python 3.11 or newer, got $(PYTHON) ($$($(PYTHON) --version 2>&1 | head -1));" \
	       "name another one: make setup PYTHON=python3.12" >&2; exit 2; }
	@echo "Installing cmpc with its extra '$*' in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e '.[$*]'
	@touch $@

doctor: setup
	$(BIN)/cmpc doctor

# The main job, each stage kept: what is done already is not done again.
export CMPC_CACHE ?= $(CURDIR)/.cache/cmpc
GALLERY ?=
# What comes of another gallery network never mixes with what comes of the default one.
NAME := emoji$(if $(GALLERY),-$(GALLERY))
RUN := runs/$(NAME)
# Trained anew it is trained as the one that comes with cmpc was; what that learnt from npm brings.
RECIPE := search/cmpc_search/gallery/shipped/emoji/recipe.toml
NETWORK := $(if $(GALLERY),--gallery-network $(GALLERY) $(if $(filter train,$(GALLERY)),--config $(RECIPE)))

# Exit code 3: all is done and kept, but some latency was unstable, as it says. Go on.
search: doctor
	$(BIN)/cmpc pipeline $(RUN) --gallery galleries/$(NAME) --out bundles/$(NAME) \
	  $(NETWORK) || [ $$? -eq 3 -a -e $(RUN)/queries.png ]

# A process for each processor, each with whole files of tests: their fixtures are made once.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

test: setup-dev
	$(PYTEST)

test-all: setup-dev
	$(PYTEST) -m ''

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: check

docs: setup-dev
	$(BIN)/python docs/cli_reference.py --write
