PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MQ2008 := ../shared/data/mq2008
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test notebooks soak lint bench

# The demo needs the program only; the tests need their tools too. Each set has its own stamp,
# older than pyproject.toml when that changed.
$(BIN)/python:
	# A half-made environment (no ensurepip) must not pass for a whole one next time.
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[test,bench]'
	touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/ultr demo --out demo

# Runs the notebooks on the demo and keeps their outputs.
notebooks: demo $(VENV)/.installed-test
	$(BIN)/python notebooks/execute.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q -n auto --maxprocesses 2 --ignore tests/benchmarks

$(VENV)/.installed-soak: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[test,soak]'
	touch $@ $(VENV)/.installed

# Hours: kills, and a hundred thousand damaged files for each reader. Stopped, it goes on later.
soak: $(VENV)/.installed-soak
	$(BIN)/python -m pytest -q -m soak tests/soak

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench
	$(BIN)/python tests/benchmarks/first_light.py $(if $(wildcard $(MQ2008)),--mq2008 $(MQ2008))
