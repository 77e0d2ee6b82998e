# Everything a person does with this project; `make help` lists it.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 4
BIN := $(VENV)/bin
KUBERNETES_RULES := deploy/kubernetes/components/monitoring/rules.yaml
READY := $(VENV)/.ready
PROGRAM := $(VENV)/.program
ENVIRONMENT := $(or $(wildcard $(READY)),$(PROGRAM))
INSTALLED_BY := requirements.lock pyproject.toml tools/install.py

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*[#][#] .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | sort | expand -t 12

install: $(ENVIRONMENT) ## Install the program into a local environment (.venv) from the lock file

develop: $(READY) ## Install the program and all that its developers need

$(READY) $(PROGRAM): $(INSTALLED_BY)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …"; exit 2; }
	@$(PYTHON) -m tools.install $(if $(filter $(PROGRAM),$@),--program )$(VENV)
	@touch $@

demo: $(ENVIRONMENT) ## Show the whole story on services of its own, in under a minute after the first downloads
	$(BIN)/outboxctl demo

test: $(READY) ## The tests that are not slow, on a real PostgreSQL and the best search engine there is; five minutes (JOBS=, TESTS=)
ifdef TESTS
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TESTS)
else
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --ignore=tests/drills/labs --ignore=tests/cluster -m "not slow"
endif

test-all: $(READY) ## All tests: the slow ones and all labs as well; a quarter of an hour (JOBS=)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --ignore=tests/drills/labs --ignore=tests/cluster
	$(BIN)/python -m pytest tests/drills/labs # all labs: they keep every core busy by themselves
	$(BIN)/python -m pytest tests/cluster/test_node_killed.py # the short one of `make test-cluster`

test-engines: $(READY) ## The engine contract on real Elasticsearch 8 and 9, OpenSearch 2 and 3; six minutes (ENGINES=)
	PYTHONPATH=tests $(BIN)/python -m engines $(ENGINES)

test-cluster: $(READY) ## Delivery to clusters of three nodes, killed and frozen: OpenSearch 2, Elasticsearch 9 and 8 (ENGINES=)
	PYTHONPATH=tests $(BIN)/python -m cluster $(ENGINES)

alerts: $(READY) ## Check the alert rules and their tests by promtool, Alertmanager's example by amtool
	$(BIN)/python -m pytest tests/metrics/alerts

lint: $(READY) ## Style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(READY) ## Mend the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY) ## Types, strictly
	$(BIN)/mypy

layers: $(READY) ## Imports run one way
	$(BIN)/lint-imports

quick: $(READY) ## Style, types, layers and every test that needs no server; about a minute
	@$(MAKE) --no-print-directory lint types layers
	$(BIN)/python -m pytest -n 2 --dist worksteal -m no_servers tests/unit tests/sink tests/release

bench: $(READY) ## Measure S, P, the bound B, the worker end to end, and a stream; a quarter of an hour (BENCH=)
	$(BIN)/python -m benchmarks $(BENCH)

bench-check: $(READY) ## Has a ratio become worse than benchmarks/RESULTS.json says? Under five minutes
	$(BIN)/python -m benchmarks.check

bench-follow: $(READY) ## Measure what changes of followed tables cost; ten minutes (FOLLOW=)
	$(BIN)/python -m benchmarks --profiles follow $(FOLLOW)

storm: $(READY) ## Write 40,000 events and a shop that becomes documents while workers are killed and the sink misbehaves; ten minutes
	PYTHONPATH=tests $(BIN)/python -m storm $(STORM)

docs: $(READY) ## Write the generated pages and alert rules again, and build the site
	$(BIN)/python -m tools.reference docs
	$(BIN)/outboxctl alerts --max-oldest-age 300 > deploy/prometheus/outbox.rules.yml
	sed -i '/^spec:/q' $(KUBERNETES_RULES) && sed '1d; s/^/  /' deploy/prometheus/outbox.rules.yml >> $(KUBERNETES_RULES)
	$(MAKE) --no-print-directory site

site: $(READY) ## Build the docs into site/, strictly: a broken link fails (SITE=)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build $(SITE)

wheel: $(READY) ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

audit: $(READY) ## Ask PyPI for known flaws of everything locked; warns of what cannot be asked (AUDIT=--must-ask fails then)
	$(BIN)/python deploy/audit.py $(AUDIT)

sbom: $(READY) ## Write the bill of materials of what runs, without the tools of development, into dist/
	@mkdir -p dist
	$(BIN)/python deploy/sbom.py > dist/outboxctl.cdx.json.part
	@mv dist/outboxctl.cdx.json.part dist/outboxctl.cdx.json

engine-jars: $(READY) ## Download the engines of `services up` anew and print the SHA-256 of their jars
	$(BIN)/python deploy/engine_jars.py

notes: ## Print what the changelog says of a release (VERSION=1.2.3); nothing is an error
	@awk -v version='$(VERSION)' '/^## / { ours = $$2 == version; next } ours { print; said += NF } \
	  END { if (!said) { print "CHANGELOG.md says nothing under: ## " version > "/dev/stderr"; exit 2 } }' CHANGELOG.md

lock: ## Resolve the dependencies again (needs uv, and a pip to ask for the sizes)
	echo 'elasticsearch<9' | uv pip compile pyproject.toml --universal --python-version 3.11 --extra aws --extra embedded --group dev \
	  --constraint - --generate-hashes --no-header --quiet | $(PYTHON) -m tools.lock

clean: ## Remove what was installed and cached here
	rm -rf $(VENV) dist build site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
