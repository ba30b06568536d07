# Gateway's commands. `make help` lists them. Only the system's python3 (3.11 or newer) is needed; everything
# else goes into .venv. All paths are relative, so the checkout may lie in a directory with spaces in its name.

# The first of these that is 3.11 or newer and can make virtual environments is used, once, to make .venv.
PYTHON ?= python3.13 python3.12 python3.11 python3
UV ?= uv
ARGS ?=
# Test files that run at once: many wait for processes most of the time. 0: one after another, for a debugger.
TEST_PROCESSES ?= 3

VENV := .venv
PY := $(VENV)/bin/python

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check fix coverage bench requirements clean runtime dev

help: ## list these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s%s\n", $$1, $$2}' Makefile

# exec: no shell stays between make and the supervisor. Ctrl-C reaches both; make waits, `up` stops everything
# and exits 0, so make has nothing to complain of. A SIGTERM to make is passed on by make to `up` itself.
run: runtime ## start Gateway: web and worker, on the first start with a sample task (ARGS="--port 9000")
	@exec $(PY) manage.py up $(ARGS)

# Everything on SQLite, then what touches the database once more on PostgreSQL, if one answers.
test: dev ## run the tests on SQLite and PostgreSQL (ARGS="-n auto -k lease")
	@$(both_databases)

check: dev ## everything CI checks: lint, types, imports, migrations, docs, tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command(["--no-logo"])'
	$(PY) manage.py check
	$(PY) manage.py makemigrations --check --dry-run
	@$(both_databases)

fix: dev ## repair lint and format, then show what is left for a person
	$(PY) -m ruff check --quiet --fix-only .
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

coverage: dev ## run the tests and print which branches none of them takes
	$(PY) -m coverage run -m pytest $(ARGS)
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

bench: dev ## measure on this machine (benchmarks/)
	@$(PY) -m benchmarks $(ARGS)

# Versions stay as they are unless the .in files ask otherwise; ARGS=--upgrade takes the newest of everything.
requirements: ## compile requirements*.in into pinned and hashed requirements*.txt
	@command -v "$(UV)" >/dev/null || { \
	  echo 'make requirements needs uv: pip install uv, or name it: make requirements UV=path/to/uv' >&2; exit 1; }
	$(call compile,requirements)
	$(call compile,requirements-dev)

clean: ## remove .venv and caches; data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	find . -path ./var -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

runtime:
	$(call install,requirements.txt)

# The file for development holds the runtime at the same versions, so installing it installs both.
dev:
	$(call install,requirements-dev.txt)
	@cksum < requirements.txt > $(VENV)/requirements.txt

define both_databases
code=0; \
TEST_DATABASE=sqlite $(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS) || code=$$?; \
TEST_DATABASE=postgres $(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS) || code=$$?; \
exit $$code
endef

define compile
UV_CUSTOM_COMPILE_COMMAND='make requirements' "$(UV)" pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-emit-find-links $(ARGS) --output-file $(1).txt $(1).in
endef

# Install the requirement file $(1) into .venv. The checksum of what was installed lies in .venv under the
# file's name: while it is the same, this does nothing, starts no pip and needs no network.
define install
@sum=$$(cksum < $(1)); \
if $(PY) -c '' 2>/dev/null && [ "$$(cat $(VENV)/$(1) 2>/dev/null)" = "$$sum" ]; then exit 0; fi; \
fit='import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'; \
new='import sys; sys.exit(sys.version_info < (3, 11))'; \
if ! $(PY) -c "import pip; $$new" 2>/dev/null; then \
  for python in $(PYTHON) ''; do "$$python" -c "$$fit" 2>/dev/null && break; done; \
  if [ -z "$$python" ]; then \
    for python in $(PYTHON) ''; do "$$python" -c "$$new" 2>/dev/null && break; done; \
    if [ -n "$$python" ]; then \
      echo "$$python cannot make virtual environments (its venv or ensurepip module is missing)." >&2; \
      echo "On Debian or Ubuntu: apt install python3-venv" >&2; \
    else \
      echo "Gateway needs Python 3.11 or newer; tried: $(PYTHON)." >&2; \
      echo "On Debian or Ubuntu: apt install python3 python3-venv. Or name one: make PYTHON=path/to/python3" >&2; \
    fi; \
    exit 1; \
  fi; \
  rm -rf $(VENV); \
  "$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
fi; \
echo "Installing $(1) into $(VENV) (once; it takes a minute or so) ..." >&2; \
$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r $(1) || { \
  echo "Installing $(1) failed; the lines above say why. Run the same command again to go on." >&2; exit 1; }; \
echo "$$sum" > $(VENV)/$(1)
endef
