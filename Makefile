# Everything a newcomer or a robot does. Needs Python 3.11 or newer with venv and pip, nothing else.
#
#   make demo      install, recognise this machine, plan a network for it, train it as planned, compare
#   make test      install, every test that this machine can run; what it cannot is skipped, with the reason
#   make test-slow the tests that make test leaves out: the same proofs on more cases, about an hour on two cores
#   make check     format, lint, types, floors, sizes
#   make validate  the back-test over the tables it carries, written to docs/validation.md with its pictures
#   make bench     every benchmark, part by part, in 25 minutes, written to benchmarks/results/; goes on where it was
#                  stopped; ARGS=--list shows the parts, ARGS="search mpi" runs some
#   make page      build the page of `rigwise serve` (Node, or the one from the package index; npm's registry once)
#   make serve     install, build the page, serve it on this machine
#   make pictures  every room of the page as PNG, light and dark, wide and narrow, in out/pictures
#   make docs      the pages, in docs/_build/html
#   make clean     remove the virtual environment and what was built

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_INSTALL := RIGWISE_PAGE=skip $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
SOURCES := src tests benchmarks docs conftest.py

.PHONY: help demo page serve pictures test test-slow check validate bench docs format clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

# A stamp stands for "this set of extras is installed"; it is older than pyproject or constraints when they change.
$(VENV)/base.stamp:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "rigwise needs Python 3.11 or newer, $(PYTHON) is %d.%d; say: make PYTHON=python3.12 ..." % v[:2])'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(VENV)/base.stamp
	@echo "installing rigwise with torch into $(VENV) (first time only)"
	@$(PIP_INSTALL) -e '.[run]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/base.stamp
	@echo "installing rigwise with its tools into $(VENV) (first time only)"
	@$(PIP_INSTALL) -e '.[run,compress,web,dev,docs]'
	@touch $@ $(VENV)/run.stamp

demo: $(VENV)/run.stamp
	@$(BIN)/rigwise demo
	@echo "the page: make serve"

$(VENV)/web.stamp: pyproject.toml constraints.txt | $(VENV)/base.stamp
	@echo "installing rigwise with its server into $(VENV) (first time only)"
	@$(PIP_INSTALL) -e '.[web]'
	@touch $@

# Where there is no Node, or no way to npm's registry, the reason is said and all else goes on.
page: | $(VENV)/base.stamp
	@$(BIN)/python web/build.py $(ARGS)

serve: $(VENV)/web.stamp
	@$(BIN)/python web/build.py
	@$(BIN)/rigwise serve $(ARGS)

pictures: $(VENV)/dev.stamp
	@$(BIN)/python web/build.py --require
	@$(BIN)/python tests/browser/pictures.py out/pictures

test: $(VENV)/dev.stamp
	@$(BIN)/python web/build.py
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(VENV)/dev.stamp
	@RIGWISE_EXPLORE=1 $(BIN)/python -m pytest -m slow --timeout 900 $(ARGS)

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_floors.py tests/test_sizes.py
	@$(BIN)/python tests/support/house.py

validate: $(VENV)/run.stamp
	@$(BIN)/rigwise validate --page docs/validation.md $(ARGS)

bench: $(VENV)/dev.stamp
	@$(BIN)/python web/build.py
	@$(BIN)/python benchmarks/run.py $(ARGS)

docs: $(VENV)/dev.stamp
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "the pages are in docs/_build/html/index.html"

format: $(VENV)/dev.stamp
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf $(VENV) docs/_build build dist out/pictures src/rigwise/web/page web/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
