# Two commands matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
BIN := .venv/bin
# Test processes share the cores; a thread pool in each would fight.
# Where byte code is not written, as in many containers, every process compiles all there is anew.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
PYTEST := $(TEST_ENV) $(BIN)/python -m pytest --jaxtyping-packages=bitcliff,beartype.beartype
JOBS ?= 2

.PHONY: demo test check lint types contracts tests test-slow test-oldest test-crash types-public zoo backdoors browser strace bench bench-check docs clean

demo: .venv/demo
	$(BIN)/bitcliff assess --out runs/demo
	@echo "Open runs/demo/report.html in a browser."

test: .venv/dev browser check tests

check: lint types contracts

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	MYPYPATH=src:. $(BIN)/mypy

contracts:
	$(BIN)/lint-imports --no-cache

tests:
	$(PYTEST) -n $(JOBS) --dist worksteal -m "not slow"

# Minutes long; run before an issue is called resolved.
test-slow: .venv/dev browser
	$(PYTEST) -m slow

# The least versions that pyproject.toml allows, in an environment of their own; gigabytes. What is
# left out asks that texts of a network with random weights end early, which other versions draw.
OLDEST := .venv-oldest/bin/python
test-oldest: .venv/dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-oldest
	$(BIN)/uv pip install --quiet --python $(OLDEST) --resolution lowest-direct '.[dev]'
	PYTHONPATH=src $(TEST_ENV) $(OLDEST) -m pytest -o filterwarnings= -m "not slow" \
	  --ignore tests/points/test_continuation.py \
	  tests/audit tests/budget tests/losses tests/points tests/policy tests/quant tests/record \
	  tests/stats tests/tasks tests/types tests/test_testing.py tests/test_verdict.py

# How much of what others import has a type that their checker knows.
types-public: .venv/dev
	-PATH=$(CURDIR)/$(BIN):$$PATH PYTHONPATH=src pyright --ignoreexternal --verifytypes bitcliff

# Trains the networks that Bitcliff ships, minutes on one core, and puts them into the package.
zoo: .venv/demo
	rm -rf runs/digits-teacher runs/digits-pair
	$(BIN)/bitcliff train teacher configs/digits-teacher.yaml --out runs/digits-teacher --threads 1
	$(BIN)/bitcliff train pair configs/digits-pair.yaml --out runs/digits-pair --threads 1
	$(BIN)/python tools/ship_zoo.py runs/digits-teacher runs/digits-pair src/bitcliff/zoo/weights

# Plants backdoors that only quantization opens, what a scan is tried on; a minute on one core.
backdoors: .venv/dev
	$(BIN)/python -m experiments.backdoors digits runs/backdoor-digits
	$(BIN)/python -m experiments.backdoors texts runs/backdoor-texts

# Kills training at every moment there is, and breaks the disk under it; some ten minutes.
test-crash: .venv/dev strace
	$(TEST_ENV) $(BIN)/python -m tests.crash

# What is done all day, in ratios, alternated: some minutes on a quiet machine. `bench-check` says what
# got slower than the committed table by more than its noise.
bench: .venv/dev
	$(BIN)/python -m benchmarks --out benchmarks/table.json
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.pair_step
	$(BIN)/python -m benchmarks.read_record

bench-check: .venv/dev
	$(BIN)/python -m benchmarks --check

# The documentation site, without the network; a warning is an error.
docs: .venv/dev
	$(BIN)/python -m sphinx -b html -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
	@echo "Open docs/_build/html/index.html in a browser."

# The report is tested in a real browser: Debian's Chromium, or whatever BITCLIFF_CHROMIUM names.
browser:
	@test -n "$$BITCLIFF_CHROMIUM" || command -v chromium >/dev/null || \
	  { sudo=$$(test "$$(id -u)" = 0 || echo sudo); \
	    $$sudo apt-get update -qq && $$sudo apt-get install -y -qq chromium >/dev/null; } || \
	  { echo "The report's tests need Chromium: install it, or name it in BITCLIFF_CHROMIUM." >&2; exit 1; }

strace:
	@command -v strace >/dev/null || \
	  { sudo=$$(test "$$(id -u)" = 0 || echo sudo); \
	    $$sudo apt-get update -qq && $$sudo apt-get install -y -qq strace >/dev/null; } || \
	  { echo "This test needs strace: install it." >&2; exit 1; }

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/demo: pyproject.toml | .venv/bin/python
	@echo "Installing Bitcliff and PyTorch, several gigabytes; this takes some minutes."
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	@echo "Installing Bitcliff, PyTorch and what tests need, several gigabytes; this takes some minutes."
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/demo

clean:
	rm -rf .venv .venv-oldest runs docs/_build
