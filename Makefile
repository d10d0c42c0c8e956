# The doors. Each does all its set-up by itself; it needs Rust, CPython >= 3.10 with pip, and a
# C compiler. Everything that is installed goes into .venv, everything that is built into target.
#
#   make demo    real tables become formulas, with the machine code that judged them
#   make test    every test, Rust and Python
#   make singles functions in single precision at every number there is: hours, for the night
#   make bench   speed, as ratios to other tools and to plain Python
#   make bench-quality   what searches find, beside other tools, and which of our parts pay;
#                PROBLEMS=FOLDER takes tables and laws in files
#   make lint    formatting, clippy, ruff, mypy, stubtest
#   make format  what `lint` would complain of, put right
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SHELL  := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test test-rust test-python singles bench bench-quality lint lint-rust lint-python format wheel clean

# What the wheel is made of; a change in any of it builds the wheel anew.
WHEEL_SOURCES := Cargo.toml Cargo.lock pyproject.toml README.md \
	$(shell find crates python -type f \( -name '*.rs' -o -name 'Cargo.toml' -o -name '*.py' \
	-o -name '*.pyi' -o -name 'py.typed' -o -name '*.html' -o -name '*.css' -o -name '*.js' \) -not -path '*/tests/*')

demo: $(VENV)/.wheel
	$(BIN)/python examples/demo.py

test: test-rust test-python

# nextest runs tests in parallel and names the slow ones, but it cannot run documentation tests.
# What is printed for numpy and SymPy is computed by them, where they are installed.
test-rust: $(VENV)/.test
	export OPCODON_PYTHON=$(abspath $(BIN))/python; \
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked --workspace --no-fail-fast && cargo test --locked --workspace --doc; \
	else \
		cargo test --locked --workspace --no-fail-fast; \
	fi

test-python: $(VENV)/.wheel
	$(BIN)/python -m pytest --numprocesses auto

# Rust first: the parts, each by itself, then the whole beside other evaluators.
singles:
	cargo test --locked --release -p opcodon-jit --test singles -- --ignored --nocapture

bench: $(VENV)/.wheel $(VENV)/.bench
	cargo bench --locked --workspace --bench '*'
	cd benches/rust && RUSTFLAGS="-C target-cpu=native" cargo run --release --target-dir ../../target/benches
	$(BIN)/python benches/evaluate.py --record benches/record
	$(BIN)/python benches/call.py
	$(BIN)/python benches/genome.py
	$(BIN)/python examples/deap_symbreg.py

# PROBLEMS=FOLDER: tables and laws in files instead of those that are built in.
bench-quality: $(VENV)/.wheel $(VENV)/.rivals
	$(BIN)/python benches/quality.py $(PROBLEMS:%=--problems %)
	$(BIN)/python benches/quality.py $(PROBLEMS:%=--problems %) --ablation --seconds 4

lint: lint-rust lint-python

lint-rust:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

lint-python: $(VENV)/.wheel $(VENV)/.lint
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/stubtest opcodon._core

format: $(VENV)/.lint
	cargo fmt --all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

wheel: $(VENV)/.wheel

# Stamps: one file a step that was done, newer than what the step was made from.

# Debian ships a Python whose venv module cannot install pip; virtualenv can.
$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Opcodon needs Python >= 3.10; say which with make PYTHON=...")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(PYTHON) -m pip install --quiet --target target/virtualenv virtualenv \
		&& PYTHONPATH=target/virtualenv $(PYTHON) -m virtualenv --quiet $(VENV); }
	touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/test.txt
	touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt
	touch $@

# A search that is built from source; where that fails, the comparison says that it is left out.
$(VENV)/.rivals: $(VENV)/.bench
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation rils-rols==1.6.7
	touch $@

$(VENV)/.lint: requirements/lint.txt $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/lint.txt
	touch $@

$(VENV)/.wheel: $(WHEEL_SOURCES) $(VENV)/.test
	rm -rf target/wheels
	$(BIN)/maturin build --release --locked --quiet --interpreter $(BIN)/python --out target/wheels
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps target/wheels/opcodon-*.whl
	touch $@

clean:
	rm -rf $(VENV) target dist
