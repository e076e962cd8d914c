# The two commands: `make demo` and `make test`.  Everything lives in .venv and .demo; `make clean` removes both.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# torch first and on its own.  PyPI's build for Linux carries CUDA; for the small CPU build say
# make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
TORCH  := $(shell sed -n 's/^\(torch==.*\)/\1/p' requirements.lock)

# Tests start hundreds of Python processes; each would compile the project anew where this is set.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: demo test fast lint types serve evidence clean

demo: $(VENV)/installed
	$(BIN)/supernaut --home .demo run examples/digits.yaml
	@echo
	@echo "The commands are in $(BIN): activate it with \`. $(BIN)/activate\`."

serve: $(VENV)/installed
	$(BIN)/supernaut --home .demo serve

test: $(VENV)/installed-dev
	bash .ci/browser
	bash .ci/postgres
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
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.parallel
	$(BIN)/python -m benchmarks.shared_cores
	$(BIN)/python -m benchmarks.digits
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.store_pages
	$(BIN)/python -m benchmarks.service
	$(BIN)/python -m benchmarks.quantization
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.formats
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.placement
	for study in digits text; do OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.fidelity $$study || exit 1; done
	for study in digits text; do OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.promise $$study || exit 1; done
	for task in images audio labelled_text text; do \
		OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.real_tasks $$task || exit 1; \
	done

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Python 3.11 or newer is needed, this is {sys.version}; set PYTHON="'
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch: $(VENV)/bin/python requirements.lock
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$(TORCH)"
	@touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .demo build *.egg-info
