# make demo      set up, then analyze the example clip; ends by saying where its page lies
# make test      set up, then run the tests, less those marked slow
# make test-all  set up, then run all tests
# make lint      set up, then style, types and architecture
# make bench     set up, then speed and memory (minutes)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   ?= demo-out

.PHONY: demo test test-all lint bench pins clean

demo: $(VENV)/.run
	$(BIN)/emofuse analyze examples/demo.mp4 --out $(DEMO) --overwrite
	@echo "Open this page in a browser: $(CURDIR)/$(DEMO)/timeline.html"

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.speed

# The run-time set-up: what a user needs. Fails early and clearly on an old Python.
$(VENV)/.run: requirements/run.txt requirements/words.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "emofuse needs Python >= 3.10, got $$($(PYTHON) --version): run  make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "cannot make a virtual environment: on Debian and Ubuntu run  apt install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/words.txt || \
	  { echo "no wheel of moonshine-voice for this system: pocketsphinx will recognise speech, less well"; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/dev.txt pocketsphinx; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# The developers' set-up adds the checks, speech recognition, and the training stack.
$(VENV)/.dev: $(VENV)/.run requirements/dev.txt requirements/torch.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements/torch.txt -r requirements/dev.txt
	@touch $@

# Compile the pins anew from pyproject.toml, for every Python and platform we support.
pins:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url \
	  --no-header --constraint requirements/limits.txt pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url \
	  --no-header --constraint requirements/run.txt \
	  --override requirements/without-torch.txt --no-emit-package torch --no-emit-package setuptools \
	  --extra train --extra sphinx --extra web --extra live --group dev \
	  pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
