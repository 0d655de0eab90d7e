# Each target is one or two plain Python commands; the README lists them for machines without make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Where it is set, each of the hundreds of processes that the tests start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup lab tour test quick lint bench clean notebooks mutations screenshots docs lock

setup: $(STAMP)

# Runs again only when what is to be installed has changed.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is no Python 3.11 or newer: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

lab: setup
	$(BIN)/python -m labkit lab

tour: setup
	$(BIN)/python -m labkit tour

# Three workers for two cores: some of the time goes by in waiting for Envoys.
test: setup
	$(BIN)/python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder

# What needs no Envoy, on all cores.
quick: setup
	$(BIN)/python -m pytest -n auto --dist loadgroup -m 'not browser and not cluster and not minikube and not oracle and not embedded and not notebook and not slow'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

# All that is generated: the README's tables, docs/checks.md, docs/traps.md, the application in the manifests.
docs: setup
	$(BIN)/python -m tools.docs

notebooks: setup
	$(BIN)/python -m labkit build

# The pictures of the docs and of the README, taken by the browser tests: look at each of them before you commit it.
screenshots: setup
	bash tests/browser/install
	LABKIT_REQUIRE_BROWSER=1 $(BIN)/python -m pytest -m browser tests/browser
	cp build/screenshots/panel-*.png docs/pictures/
	cp build/screenshots/03_load_balancing.png docs/pictures/lesson-03.png

# Changes each value in the lessons' manifests to a wrong one and runs its lesson, which must fail: over half an hour.
mutations: setup
	$(BIN)/python -m tools.mutations

# One lock for each Python and platform that the README names. Keeps what still fits; newer: make lock UPGRADE=--upgrade
lock: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[lock]'
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE) --output-file constraints.txt pyproject.toml

clean:
	-$(BIN)/python -m labkit down --meshes
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)
