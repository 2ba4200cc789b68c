# Every verb sets up what it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find rust_ext -path rust_ext/target -prune -o -type f -print)
# The Rust tests start a Python of their own: the one that everything else here runs on.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs dist fuzz fmt clean

help:  ## Show the verbs
	@grep -E '^[a-z]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# A torch that the machine has already is used; the models' packages come from outside of .venv then.
$(VENV)/pip:
	$(PYTHON) -m venv $(VENV) \
	  $$($(PYTHON) -c 'import importlib.util as u; print("--system-site-packages" if u.find_spec("torch") else "")')
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/package: $(VENV)/pip pyproject.toml $(RUST)
	@echo "Building harmony_py (the first build takes a minute or two) ..."
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/dev: $(VENV)/package
	$(BIN)/pip install --quiet --group dev
	@touch $@

$(VENV)/model: $(VENV)/package
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  echo "Installing torch. On Linux it brings the CUDA libraries: some 3 GB, a minute or more ..."; \
	  $(BIN)/pip install 'harmony-py[model]'; }
	@touch $@

# The inspector's page is tested in a real browser: one that is there, else Debian's smallest.
$(VENV)/browser: $(VENV)/dev
	@$(BIN)/python tests/browser.py >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium-headless-shell >/dev/null; } || true
	@$(BIN)/python tests/browser.py && touch $@ || echo "Without a browser the tests of the inspector's page are left out."

demo: $(VENV)/model  ## Build, install into .venv, and let the toy model hold a conversation with a tool call
	$(BIN)/harmony-py demo

test: $(VENV)/dev $(VENV)/browser  ## Install what the tests need and run them all
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

check: $(VENV)/dev  ## Lint, types, Rust formatting, clippy and Rust tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest harmony_py._rust
	cd rust_ext && cargo fmt --check
	cd rust_ext && cargo clippy --all-targets -- -D warnings
	cd rust_ext && cargo test

$(VENV)/bench: $(VENV)/package
	$(BIN)/pip install --quiet --group bench
	@touch $@

bench: $(VENV)/bench  ## The tokenizer beside its rivals; BENCH=--quick takes three minutes
	$(BIN)/python -m benchmarks tokenizer $(BENCH)

docs: $(VENV)/dev  ## Build the documentation as a site, in site/
	$(BIN)/python -m zensical build --strict

dist: $(VENV)/dev  ## A wheel for this Python and the source distribution, with its crates, into dist/
	$(BIN)/maturin build --release --locked --out dist
	$(BIN)/python packaging/sdist.py dist

FUZZ_SECONDS ?= 60
FUZZED := tests/property/test_parse_properties.py

fuzz: $(VENV)/dev  ## Coverage leads: every Rust target and parser property, FUZZ_SECONDS=60 each
	$(BIN)/pip install --quiet --group fuzz
	for target in rust_ext/fuzz/targets/*.rs; do \
	  rust_ext/fuzz/run.sh $$(basename $$target .rs) -max_total_time=$(FUZZ_SECONDS) || exit 1; done
	for property in $$(sed -n 's/^def \(test_[a-z_]*\).*/\1/p' $(FUZZED)); do \
	  $(BIN)/python tests/fuzz_property.py $(FUZZED) $$property -max_total_time=$(FUZZ_SECONDS) || exit 1; done

fmt:  ## Format Python and Rust
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd rust_ext && cargo fmt

clean:  ## Remove everything that was built
	rm -rf $(VENV) dist rust_ext/target
