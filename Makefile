# Everything a newcomer needs: `make demo` and `make test`. Both can be run again at any time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint format install clean

demo: $(STAMP)
	$(BIN)/mbs enhance examples/noisy -o enhanced --overwrite
	$(BIN)/mbs score examples/clean enhanced --noisy examples/noisy --metrics pesq_wb,stoi,si_sdr,cbak

test: $(STAMP)-test lint
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --durations 20

lint: $(STAMP)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(STAMP)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(STAMP)-test: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	touch $@ $(STAMP)

clean:
	rm -rf $(VENV) enhanced .pytest_cache .mypy_cache .ruff_cache
