# make demo    one whole round on the embedded base and sample: under five minutes on two cores
# make loop    serve, be asked and told by simulated users, review, train the next round, promote: one loop of each kind, told in
#              plain lines. LOOP_ARGS: options of benchmarks/loop.py, as --task sample
# make test    all tests that this machine can run; the others say why they are skipped
# make check   lint, types, import floors
# make bench   training side by side with TRL: about 40 minutes; results go to benchmarks/results. BENCH_ARGS: its options.
#              benchmarks/base.py is run by hand
#
# TORCH_INDEX names the package index torch is taken from, where the default is not the build you want.

PYTHON ?= python3
TORCH = torch==2.13.0
BIN = .venv/bin
READY = .venv/.ready
WORKERS ?= 2

.PHONY: demo loop test check bench clean

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c "import torch, sys; sys.exit(torch.__version__.split('+')[0] != '2.13.0')" 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(READY)

demo: $(READY)
	$(BIN)/tunesmith demo

loop: $(READY)
	$(BIN)/python benchmarks/loop.py --story $(LOOP_ARGS)

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: RESULT = benchmarks/results/$(shell date -u +%Y-%m-%d)-train.json
bench: $(READY)
	$(BIN)/python benchmarks/train.py --json $(BENCH_ARGS) > $(RESULT).part
	mv $(RESULT).part $(RESULT)

clean:
	rm -rf .venv .bench .tunesmith
