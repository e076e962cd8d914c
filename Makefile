# The two commands: `make demo` and `make test`.  Everything lives in .venv and .demo; `make clean` removes both.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# torch first and on its own: a bare requirement would pull gigabytes of CUDA where a CPU build is at hand.
TORCH  := $(shell sed -n 's/^\(torch==.*\)/\1/p' requirements.lock)

.PHONY: demo test fast lint types serve evidence clean

demo: $(VENV)/installed
	SUPERNAUT_HOME=$(CURDIR)/.demo $(BIN)/supernaut run examples/digits.yaml
	@echo
	@echo "This study lives in .demo; put SUPERNAUT_HOME=$(CURDIR)/.demo before the commands above,"
	@echo "and use $(BIN)/supernaut, or activate $(VENV). \`make serve\` shows the front in a browser."

serve: $(VENV)/installed
	SUPERNAUT_HOME=$(CURDIR)/.demo $(BIN)/supernaut serve

test: $(VENV)/installed-dev
	bash .ci/browser
	$(BIN)/pytest

fast: $(VENV)/installed-dev
	$(BIN)/pytest -m "not slow"

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

evidence: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.digits
	$(BIN)/python -m benchmarks.search

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Python 3.11 or newer is needed, this is {sys.version}; set PYTHON="'
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch: $(VENV)/bin/python requirements.lock
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	@touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .demo build *.egg-info
