# Every target makes what it needs; only python3 >= 3.11 and make are assumed. uv is used when present.
.PHONY: setup test test-all test-floors coverage reproduce check notebooks docs bench bench-quick bench-robust bench-bandits bench-restless scale clean
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PEERS := .venv-peers/ready
WORKERS ?= auto
SCALE ?= smoke
KERNEL_TESTS := $(addprefix tests/mdplib/test_,kernels.py graphs.py ordering.py sampling.py operators.py robust_borders.py)
EXTRAS := exact,gym,cluster,frames,testing,pulp

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; run make with PYTHON=/path/to/newer/python" >&2; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[$(EXTRAS)]" --group dev --group docs; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" && \
	  $(BIN)/python -m pip install --quiet -c constraints.txt -e ".[$(EXTRAS)]" --group dev --group docs; \
	fi
	@touch $(READY)

test: $(READY)            ## everything but the long statistical runs
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow"

test-all: $(READY)        ## everything, 10,000 random models per solver included
	$(BIN)/python -m pytest -q -n $(WORKERS)

test-floors:              ## the tests with the lowest versions declared (needs uv)
	uv venv --quiet --allow-existing --python $(PYTHON) .venv-floors
	uv pip install --quiet --python .venv-floors/bin/python --resolution lowest-direct \
	  -e ".[$(EXTRAS)]" --group test
	.venv-floors/bin/python -m pytest -q -n $(WORKERS) -m "not slow"

coverage: $(READY)        ## line and branch coverage of the library; kernels interpreted
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow" --cov --cov-report=
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow" $(KERNEL_TESTS) \
	  --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=90

reproduce: $(READY)       ## every experiment at smoke scale, then results/index.html
	$(BIN)/mdplib reproduce all --scale $(SCALE) --executor loky

check: $(READY)           ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

notebooks: $(READY)       ## check the pairing of scripts and notebooks, and execute them
	$(BIN)/python notebooks/execute.py

docs: $(READY)            ## HTML pages in docs/_build
	$(BIN)/python -m sphinx -q -E -W -b html docs docs/_build

$(PEERS): pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@.venv-peers/bin/python -m pip install --quiet --group peers || \
	  for peer in numpy scipy quantecon mdpsolver pymdptoolbox stormpy; do \
	    .venv-peers/bin/python -m pip install --quiet $$peer || \
	      echo "$$peer cannot be installed here and is listed as absent"; done
	@touch $(PEERS)

bench: $(READY) $(PEERS)  ## speed against other libraries: table and plot in build/bench
	$(BIN)/python -m benchmarks.tabular

bench-quick: $(READY) $(PEERS)  ## the same on a few models, in minutes
	$(BIN)/python -m benchmarks.tabular --quick

bench-robust: $(READY)    ## robust offline methods against plain loops, and a million trajectories
	$(BIN)/python -m benchmarks.robust

bench-bandits: $(READY)   ## bandit learners against plain rounds, and ten algorithms at scale
	$(BIN)/python -m benchmarks.bandits

bench-restless: $(READY)  ## decisions, training and bounds of coupled restless bandits
	$(BIN)/python -m benchmarks.restless

scale: $(READY)           ## 1e7 states built from a stream and solved, with peak memory
	$(BIN)/python -m benchmarks.scale --out build/bench/scale.json

clean:
	rm -rf .venv .venv-floors .venv-peers build dist docs/_build docs/api .coverage .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
