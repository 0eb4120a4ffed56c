# make demo      set up, then analyze the example clip; ends by saying where its page lies
# make test      set up, then run the tests, less those marked slow
# make test-all  set up, then run all tests
# make lint      set up, then style, types and architecture
# make bench     set up, then speed and memory (minutes)
# make soak      set up, then an hour of load and faults on the server; SOAK=10 for ten minutes
# make client    set up, then generate the types of emofuse.client from the server's OpenAPI
# make audit     compare the pinned requirements with known vulnerabilities (needs the network)
# make sbom      write what a server's installation consists of: sbom.json, CycloneDX
# make image-base  pin the newest base of the container image (needs the network and Docker)
# make dist      set up, then build wheel and sdist, check them, and try the wheel in a fresh environment
# make docs      set up, then build the documentation as a site, strictly: build/site/index.html
# make platforms set up, then tell on which systems and Pythons every extra can be installed
# make fuzz      set up, then damaged inputs of every type (hours; CASES=10000 SEED=0; goes on)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   ?= demo-out
SOAK   ?= 60
BASE   ?= python:3.12-slim-bookworm
CASES  ?= 10000
SEED   ?= 0

# Where bytecode is not kept, every program that a test starts compiles all that it imports anew.
export PYTHONDONTWRITEBYTECODE :=

# Three at a time on two cores, since tests also wait; none of them with threads that spin.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 3 --dist loadfile

.PHONY: demo test test-all lint bench fuzz audit sbom image-base client dist docs platforms pins clean

demo: $(VENV)/.run
	$(BIN)/emofuse analyze examples/demo.mp4 --out $(DEMO) --overwrite
	@echo "Open this page in a browser: $(CURDIR)/$(DEMO)/timeline.html"

test: $(VENV)/.dev
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.dev
	$(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.speed

client: $(VENV)/.dev
	$(BIN)/python -m tests.server.generate_client

dist: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	rm -rf build/fresh
	$(PYTHON) -m venv build/fresh
	build/fresh/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cp examples/demo.mp4 build/fresh
	cd build/fresh && bin/emofuse analyze demo.mp4 --out out
	@echo "packages: $$(build/fresh/bin/python -m pip list --format freeze | grep -cvE '^(pip|setuptools|emofuse)='), size:" \
	  "$$(du -sm --exclude pip --exclude setuptools build/fresh/lib | cut -f1) MiB"

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open this page in a browser: $(CURDIR)/build/site/index.html"

platforms: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	requirements/platforms.sh

soak: $(VENV)/.dev
	$(BIN)/python -m benchmarks.soak --minutes $(SOAK)

# The tools live apart, so that they are not what they look at.
TOOLS := $(VENV)/tools
$(TOOLS)/bin/pip-audit: | $(VENV)/.run
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom pip-audit

audit: $(TOOLS)/bin/pip-audit
	$(TOOLS)/bin/pip-audit --disable-pip --require-hashes -r requirements/server.txt
	$(TOOLS)/bin/pip-audit --disable-pip --no-deps -r requirements/run.txt

sbom: $(TOOLS)/bin/pip-audit
	rm -rf $(VENV)/server && $(PYTHON) -m venv $(VENV)/server
	$(VENV)/server/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/server.txt
	$(VENV)/server/bin/pip install --quiet --disable-pip-version-check --no-deps .
	$(VENV)/server/bin/python -m pip uninstall --quiet --yes setuptools pip
	$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
	  --gather-license-texts --output-reproducible --of JSON -o sbom.json $(VENV)/server
	rm -rf $(VENV)/server

image-base:
	digest=$$(docker buildx imagetools inspect $(BASE) --format '{{.Manifest.Digest}}') && \
	  sed -i.old "s|^ARG BASE=.*|ARG BASE=$(BASE)@$$digest|" Dockerfile && rm Dockerfile.old
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz --cases $(CASES) --seed $(SEED) --out fuzz-out

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
	  --extra train --extra sphinx --extra web --extra live --extra ass --extra heif --extra pandas --extra zoo \
	  --extra evaluate --extra docs --group dev \
	  pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url --generate-hashes \
	  --no-header --no-annotate --constraint requirements/run.txt --constraint requirements/dev.txt \
	  --extra web pyproject.toml -o requirements/server.txt
	echo hatchling | $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url \
	  --generate-hashes --no-header --no-annotate - -o requirements/build.txt

clean:
	rm -rf $(VENV) $(DEMO) fuzz-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
