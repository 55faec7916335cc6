# Everything runs in .venv, which is made when it is missing. PYTHON=python3.12 make demo picks another interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check lint fuzz bench clean

demo: .venv/installed
	$(BIN)/diascope demo

test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

check: lint test

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: .venv/installed-dev
	$(BIN)/python -m pip install --quiet -e '.[fuzz]'
	DIASCOPE_FUZZ=5000 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/test_fuzz.py tests/test_study_bounds.py
	$(BIN)/python benchmarks/readers.py mutations
	$(BIN)/python benchmarks/readers.py corpus
	$(BIN)/python benchmarks/fuzz_readers.py 3600

bench:
	$(PYTHON) benchmarks/bench.py

clean:
	rm -rf .venv demo-study build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch .venv/installed $@
