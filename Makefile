# make demo    installs into .venv and shows two hosts and a server at work
# make test    installs into .venv and runs the whole test suite
# make lint    style and types
# make bench   the benchmarks, beside rsync, rdiff and SyncEvolution (apt install rsync stunnel4 rdiff syncevolution syncevolution-http), into benchmarks/results; docs/performance.md explains them
# make bench-publish   the same, then the picture of the README and the tables of docs/performance.md are made of the results
# make ctest   the C core by itself, under the address and undefined-behaviour sanitizers
# make clean   removes everything that was made
#
# Needs Python >= 3.11 with venv and headers, a C compiler and make; no root. `make demo TWSYNC_NATIVE=no` does without the compiler.

# The first interpreter that is new enough; PYTHON=... names another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)
TWSYNC_NATIVE ?= yes
CC ?= cc

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A plain editable install hides twisted/plugins from twistd; the compatible kind puts the tree itself on the path, plugin and all.
EDITABLE := --config-settings editable_mode=compat --editable
# What an installed copy is made of. Python modules are used where they stand and need no new install.
BUILT_FROM := Makefile setup.py pyproject.toml $(wildcard csrc/*.c csrc/*.h csrc/*.py)

export TWSYNC_NATIVE

.PHONY: demo test lint bench bench-publish ctest clean

demo: $(VENV)/installed
	$(BIN)/python -m twsync demo $(DEMO_ARGS)

test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(TEST_ARGS)

lint: $(VENV)/installed-lint
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check --quiet .
	$(BIN)/python -m mypy

bench: $(VENV)/installed-test
	$(BIN)/python -m pytest benchmarks $(BENCH_ARGS)
	$(BIN)/python benchmarks/delta_core.py $(CORE_ARGS)
	$(BIN)/python benchmarks/whole_system.py $(WHOLE_ARGS)
	$(BIN)/python benchmarks/syncml.py $(SYNCML_ARGS)
	$(BIN)/python benchmarks/growth.py $(GROWTH_ARGS)

bench-publish: bench
	$(BIN)/python benchmarks/publish.py

ctest:
	$(MAKE) -C csrc/tests CC=$(CC) check

# Each extra has a stamp of its own, so that `make demo` does not fetch the test tools.
$(VENV)/installed: EXTRA :=
$(VENV)/installed-test: EXTRA := [test]
$(VENV)/installed-lint: EXTRA := [lint]
$(VENV)/installed $(VENV)/installed-test $(VENV)/installed-lint: $(BUILT_FROM) | $(VENV)/made
	@test "$(TWSYNC_NATIVE)" = no || $(BIN)/python -c "$$WANT_HEADERS"
	$(PIP) $(EDITABLE) ".$(EXTRA)"
	@touch $@

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { echo "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@touch $@

define WANT_HEADERS
import os, sys, sysconfig
header = os.path.join(sysconfig.get_path('include'), 'Python.h')
if not os.path.exists(header):
    sys.exit('no ' + header + '; on Debian and Ubuntu: apt install python3-dev, or do without the C core: TWSYNC_NATIVE=no')
endef
export WANT_HEADERS

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f twsync/delta/_core*.so twsync/store/_files*.so twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	test ! -e csrc/tests/Makefile || $(MAKE) -C csrc/tests clean
