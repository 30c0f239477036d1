# Every word that this project answers to. `make test` is exactly what CI runs.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# One thread per process: two spinning OpenMP threads on two cores are slower than one.
export OMP_NUM_THREADS := 1
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help install demo test check fmt lint types ladder test-fast test-ray lock bench bench-quick pictures

help:  ## list the words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/' | sort

install: $(VENV)/installed  ## make .venv from the constraints

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install  ## synthetic data, a teacher, a small study over twelve leads, the ranked table
	$(BIN)/mvkt demo --out runs/demo

test: check  ## format, lint, types, import contract, all tests
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: lint types ladder  ## everything but the tests

lint: install  ## format and lint, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install  ## pyright
	$(BIN)/pyright --warnings

ladder: install  ## the import contract
	$(BIN)/lint-imports

fmt: install  ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-fast: install  ## tests that start no Ray
	$(BIN)/python -m pytest -n 4 -m 'not ray'

test-ray: install  ## tests that start Ray
	$(BIN)/python -m pytest -m ray

# Where the recordings are, and where the rounds go; what is there is not run again.
PTBXL ?= ../shared/data/ptbxl
BENCH ?= runs/peers

bench: install  ## our search beside its peers, three rounds of both tables; hours, goes on where it was killed
	$(BIN)/python -m benchmarks.peers --ptbxl $(PTBXL) --out $(BENCH)

bench-quick: install  ## the same in minutes: one round of four short trials on two folds, nothing pruned
	$(BIN)/python -m benchmarks.peers --ptbxl $(PTBXL) --out $(BENCH)-quick --trials 4 --epochs 2 \
	  --teacher-epochs 3 --folds 1-2/8/9 --leads II,V5 --rounds 1 --searches fixed

pictures: install  ## run a small study, and make the pictures of README from it; wants chromium and chromedriver
	$(BIN)/python docs/pictures.py --out runs/pictures

lock:  ## write constraints.txt anew from the ranges in pyproject.toml
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0 '.[dev]'
	{ sed -n '/^#/p' constraints.txt; .lock-venv/bin/python -m pip freeze --exclude mvkt-ray \
	  | sed -e 's/^\(torch==[0-9.]*\)+.*/\1/' -e '/@ file:/d'; } > constraints.new
	mv constraints.new constraints.txt && rm -rf .lock-venv
