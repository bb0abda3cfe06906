# All that this needs is Python 3.11 or newer and make. `make demo` and `make test` set up what they use in .venv.

PYTHON ?= $(shell for p in python3.11 python3; do $$p -c pass 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
OLDEST := .venv-oldest
NEWEST := .venv-newest
DOCS := .venv-docs
BROWSER := .venv-browser
QUIETLY := --quiet --disable-pip-version-check

# What the demo runs, and how the tests are spread: override with `make demo DEMO=…`, `make test PYTEST_ARGS=…`.
DEMO ?= hf-equi audit --model demo --group gender --samples 20 --seed 7 --out runs/demo
PYTEST_ARGS ?= -n 2 --dist worksteal  # which leaves the tests of a file, and what they share, together
COMPATIBILITY_ARGS ?=  # --write puts the table into docs/compatibility.md
DATA ?=  # the folder of the data that `make reproduce` reads
REPRODUCE_ARGS ?=  # --only scan, for one part
BENCHMARK ?= benchmarks/causal_lm.py  # or equizero.py, point_clouds.py, q_network.py, seq2seq.py, training.py, vision.py beside it

# Neither the demo nor the tests load anything from a network.
OFFLINE := HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

.DEFAULT_GOAL := help
.PHONY: help demo docs test run-tests test-wheel test-demo test-oldest test-newest check style benchmark reproduce clean
.DELETE_ON_ERROR:

help:  ## Show this list.
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*##/  \1 #/p' $(firstword $(MAKEFILE_LIST)) | awk -F' # ' '{printf "%-14s%s\n", $$1, $$2}'

demo: $(STAMP)  ## Audit a language model before and after symmetrizing it; the report goes to runs/demo.
	@$(OFFLINE) $(BIN)/$(DEMO)

docs: $(DOCS)/.stamp  ## Build the documentation site into runs/site, with warnings as errors (in .venv-docs).
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --strict --quiet
	@echo 'Open runs/site/index.html, or serve it, so that its search works: python3 -m http.server -d runs/site'

test: $(STAMP)  ## Check style and types, and run all tests but that of the wheel, side by side.
	@$(MAKE) --no-print-directory -j 2 check run-tests

run-tests: $(STAMP)
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not index' $(PYTEST_ARGS)

test-wheel: $(STAMP)  ## Build the wheel and run it in a new environment, without constraints (needs a package index).
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m index tests/test_wheel.py

test-demo: $(BROWSER)/.stamp  ## Run the tests of `hf-equi demo`, in Chromium too (needs Chromium; in .venv-browser).
	$(OFFLINE) OMP_NUM_THREADS=1 $(BROWSER)/bin/python -m pytest tests/demo tests/cli/test_demo.py

test-oldest: $(OLDEST)/.stamp  ## Run what a release can break, with the oldest releases allowed (three minutes, in .venv-oldest).
	$(OFFLINE) OMP_NUM_THREADS=1 $(OLDEST)/bin/python tests/compatibility.py oldest $(COMPATIBILITY_ARGS)

test-newest: $(NEWEST)/.stamp  ## Run the same, with whatever the package index serves, bounds ignored (in .venv-newest).
	@names=$$($(NEWEST)/bin/python tests/compatibility.py dependencies) \
	    && $(NEWEST)/bin/python -m pip install $(QUIETLY) --upgrade --upgrade-strategy eager $$names
	@$(NEWEST)/bin/python -m pip install $(QUIETLY) --no-deps -e .
	$(OFFLINE) OMP_NUM_THREADS=1 $(NEWEST)/bin/python tests/compatibility.py newest $(COMPATIBILITY_ARGS)

check: $(STAMP)  ## Check format, lint and types, and change nothing.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

style: $(STAMP)  ## Format the code and repair what the linter can.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmark: $(STAMP)  ## Time the library against plain transformers, as ratios.
	$(OFFLINE) $(BIN)/python $(BENCHMARK)

reproduce: $(STAMP)  ## Measure results again from stored weights, stated beside obtained: make reproduce DATA=DIR.
	$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python examples/reproduce.py $(if $(DATA),--data '$(DATA)') $(REPRODUCE_ARGS)

clean:  ## Remove the environment and all caches.
	rm -rf $(VENV) $(OLDEST) $(NEWEST) $(DOCS) $(BROWSER) dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find hf_equi tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} +

# torch comes first and alone: pip then takes the build that suits the machine, a CPU one where there is one to choose,
# and the dependencies of the rest find it installed.
$(STAMP): pyproject.toml constraints.txt
	$(call make-venv,$(VENV))
	@$(BIN)/python -m pip install $(QUIETLY) -c constraints.txt torch
	@$(BIN)/python -m pip install $(QUIETLY) -c constraints.txt -e '.[dev]'
	@touch $@

$(OLDEST)/.stamp: pyproject.toml constraints-oldest.txt
	$(call make-venv,$(OLDEST))
	@$(OLDEST)/bin/python -m pip install $(QUIETLY) -c constraints-oldest.txt torch
	@$(OLDEST)/bin/python -m pip install $(QUIETLY) -c constraints-oldest.txt -e '.[test]'
	@touch $@

# Gradio needs an older Pillow than the tests.
$(BROWSER)/.stamp: pyproject.toml constraints.txt
	$(call make-venv,$(BROWSER))
	@grep -v '^pillow==' constraints.txt > $(BROWSER)/constraints.txt
	@$(BROWSER)/bin/python -m pip install $(QUIETLY) -c $(BROWSER)/constraints.txt torch
	@$(BROWSER)/bin/python -m pip install $(QUIETLY) -c $(BROWSER)/constraints.txt -e '.[browser]'
	@touch $@

$(NEWEST)/.stamp:
	$(call make-venv,$(NEWEST))
	@$(NEWEST)/bin/python -m pip install $(QUIETLY) torch
	@touch $@

# The packages of the extra, without the package itself, whose dependencies the site does not need.
$(DOCS)/.stamp: pyproject.toml
	$(call make-venv,$(DOCS))
	@$(DOCS)/bin/python -c 'import tomllib; file = open("pyproject.toml", "rb"); \
	    print(*tomllib.load(file)["project"]["optional-dependencies"]["docs"], sep="\n")' >$(DOCS)/requirements.txt
	@$(DOCS)/bin/python -m pip install $(QUIETLY) -r $(DOCS)/requirements.txt
	@touch $@

define make-venv
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'Setting up $(1). This downloads up to 2 GB of packages and takes some minutes, once.'
	@"$(PYTHON)" -m venv $(1)
endef
