# Everything runs in .venv, which every target makes and fills when it has to. PYTHON=python3.12 and PIP_ARGS="..." are passed on.
PYTHON ?= python3
PIP_ARGS ?=
HOME_DIR ?= ulpt-search-home
TRIALS ?= 24
STEPS ?= 60
BIN := .venv/bin
# Slow tests that every change must pass: a killed supervisor's study goes on, more families' exports agree with the trained adapter,
# the demo's commands run to their end, and a node of two dies in the middle of a search.
SELECTED := tests/test_demo.py tests/test_run.py tests/test_exports.py tests/test_two_nodes.py

.PHONY: demo test check slow audit clean

demo: .venv/demo
	$(BIN)/ulpt-search run --home $(HOME_DIR) --space ulpt --budget 1e4 --trials $(TRIALS) --study demo \
		--set steps=$(STEPS) --set rungs.first=15 --set finalists=2
	$(BIN)/ulpt-search frontier demo --home $(HOME_DIR)
	$(BIN)/ulpt-search export demo --best --out $(HOME_DIR)/best --force --home $(HOME_DIR)
	$(BIN)/ulpt-search predict $(HOME_DIR)/best "Parse a header line into its name and value."

test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile
	$(BIN)/python -m pytest -n 2 -m slow $(SELECTED)

check: .venv/dev .venv/path/ulpt_search
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .venv/path && ../bin/mypy --config-file ../../pyproject.toml -p ulpt_search

# What is installed, against a database of known holes, which has to be in reach; elsewhere tests/test_floors.py has a table of them.
audit: .venv/dev
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) "pip-audit>=2.7,<3"
	$(BIN)/pip-audit --local --skip-editable

slow: .venv/dev
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --editable ".[demo]"
	touch $@

.venv/dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --editable ".[demo,dev]"
	touch $@

# mypy names modules after folders; the package's folder may be called anything, so it is shown to mypy under the package's name.
.venv/path/ulpt_search: | .venv/bin/python
	mkdir -p .venv/path
	ln -sfn ../.. $@
