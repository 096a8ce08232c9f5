.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
# Many images set it, and then each of a test's hundred processes compiles all that it imports.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help up test all-tests test-long unit chaos mutants fuzz lint format docs dist clean lock vendor pictures bench bench-worker bench-edge \
  bench-cold-join bench-restart bench-analytics bench-latency bench-hot-trace bench-reading bench-gateway bench-otlp

help: ## list the targets
	@awk '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {split($$0, part, ":.*## "); printf "  make %-16s %s\n", part[1], part[2]}' $(MAKEFILE_LIST)

##@ Run

$(VENV)/.runtime: requirements/embedded.txt requirements/uv.txt pyproject.toml
	./deploy/install.sh embedded
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/uv.txt pyproject.toml
	./deploy/install.sh dev
	@touch $@ $(VENV)/.runtime

$(VENV)/kafka.jsa: $(VENV)/.dev deploy/kafka/pom.xml
	$(PY) -m tests.pipeline.kafka_classes $@

up: $(VENV)/.runtime ## run everything here until Ctrl-C; ARGS="--port 8080 --broker kafka" and the like go along
	@exec $(VENV)/bin/feedback up $(ARGS)

##@ Test

test: $(VENV)/.quix $(VENV)/.litellm $(VENV)/kafka.jsa ## check style and types while every test runs; ARGS="-k name" runs fewer, one after the other
ifdef ARGS
	$(PY) -m pytest $(ARGS)
else
	@$(MAKE) --no-print-directory -j 2 lint all-tests
endif

all-tests: $(VENV)/.quix $(VENV)/.litellm $(VENV)/kafka.jsa
	$(PY) -m pytest -n 5 --dist loadfile --no-loadscope-reorder

test-long: ## run every test with eight times as many random tries, and over every source of engines
	TEST_TIMES=$(or $(TIMES),8) $(MAKE) --no-print-directory all-tests

unit: $(VENV)/.dev ## run the tests that need no engine
	$(PY) -m pytest tests/unit $(ARGS)

lint: $(VENV)/.dev ## check style, format and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/.dev ## bring the code into its format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

mutants: $(VENV)/.dev ## break the code on purpose, fault by fault: the test named for each must fail; ARGS="word" takes fewer
	$(PY) -m tests.mutants $(ARGS)

chaos: $(VENV)/.dev ## kill everything for ten minutes and count; SEED=, EVENTS=, ROUNDS=, SCHEDULE=file
	SEED=$(SEED) EVENTS=$(or $(EVENTS),200000) ROUNDS=$(or $(ROUNDS),6) SCHEDULE=$(SCHEDULE) \
	  $(PY) -m pytest -s tests/chaos $(ARGS)

fuzz: $(VENV)/.dev ## send the publishing routes bodies of every kind and compare with the rules; EXAMPLES=, SEED=
	FUZZ_EXAMPLES=$(or $(EXAMPLES),300000) FUZZ_SEED=$(SEED) $(PY) -m pytest -s tests/fuzz/test_fuzz.py $(ARGS)

##@ Measure

BENCHMARKS := bench-worker bench-edge bench-cold-join bench-restart bench-analytics bench-latency bench-hot-trace bench-reading bench-gateway bench-otlp
bench: $(BENCHMARKS) ## measure all below, an hour and a half on two cores; ARGS="--rounds 2" and the like go along

bench-worker: $(VENV)/.dev $(VENV)/.quix ## measure the worker beside plain Faust, Quix Streams and a bare consumer
	$(PY) -m benchmarks.worker $(ARGS)

bench-edge: $(VENV)/.dev ## measure the edge beside plain FastAPI and bare ASGI; needs wrk
	$(PY) -m benchmarks.edge $(ARGS)

bench-cold-join: $(VENV)/.dev ## measure a worker that must look up every trace among five million
	$(PY) -m benchmarks.cold_join $(ARGS)

bench-restart: $(VENV)/.dev ## measure a restart beside Faust with a million keys in a table
	$(PY) -m benchmarks.restart $(ARGS)

bench-analytics: $(VENV)/.dev ## measure rollups beside twenty million raw rows
	$(PY) -m benchmarks.analytics $(ARGS)

bench-latency: $(VENV)/.dev ## measure how soon feedback shows in SQL under load
	$(PY) -m benchmarks.latency $(ARGS)

bench-hot-trace: $(VENV)/.dev ## measure a trace with 100,000 feedbacks beside ordinary ones
	$(PY) -m benchmarks.hot_trace $(ARGS)

bench-reading: $(VENV)/.dev ## measure every reading endpoint over ten million requests; ARGS="--requests 1000000 --small 100000" takes minutes
	$(PY) -m benchmarks.reading $(ARGS)

bench-otlp: $(VENV)/.dev ## measure how many spans of OpenTelemetry the edge takes
	$(PY) -m benchmarks.otlp $(ARGS)

bench-gateway: $(VENV)/.dev $(VENV)/.litellm ## measure the gateway beside a direct call and LiteLLM's proxy; needs wrk
	$(PY) -m benchmarks.gateway $(ARGS)

$(VENV)/.litellm: benchmarks/litellm_requirements.txt $(VENV)/.dev
	./deploy/own_venv.sh $(VENV)/litellm $<
	@touch $@

$(VENV)/.quix: benchmarks/quix_requirements.txt $(VENV)/.dev
	./deploy/own_venv.sh $(VENV)/quix $<
	@touch $@

##@ Build

docs: $(VENV)/.docs ## build these documents as a site that needs no network, into dist/site; the first time needs npm
	@NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build
	@echo "The site is in dist/site: open dist/site/index.html."

# A venv of its own: nothing of the product needs these packages.
$(VENV)/.docs: requirements/docs.txt docs/site/fetch_mermaid.py
	./deploy/own_venv.sh $(VENV)/docs $<
	$(VENV)/docs/bin/python docs/site/fetch_mermaid.py $(VENV)/docs/mermaid.js
	@touch $@

dist: $(VENV)/.dev ## build wheels and source archives into dist, of the product and of its Python client
	rm -f dist/*.whl dist/*.tar.gz
	$(PY) -m hatchling build -d dist
	cd clients/python && ../../$(PY) -m hatchling build -d ../../dist

vendor: $(VENV)/.dev ## fetch the dashboard's browser libraries anew, in the versions of its manifest; needs npm
	$(PY) -m deploy.vendor

pictures: $(VENV)/.dev ## take the pictures of the documents anew; needs Chromium
	$(PY) -m tests.browser.pictures $(ARGS)

clean: ## remove what was built here; the data of `make up` stay
	rm -rf deploy/kafka/target dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

lock: ## pin every dependency with hashes (needs uv)
	for set in build docs edge runtime embedded dev; do \
	  case $$set in \
	    build | docs) sources="--group $$set";; \
	    edge) sources="pyproject.toml --extra edge";; \
	    runtime) sources="pyproject.toml --extra all";; \
	    embedded) sources="pyproject.toml --extra embedded --group build";; \
	    dev) sources="pyproject.toml --extra embedded --group build --group dev";; \
	  esac; \
	  uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    $$sources -o requirements/$$set.txt; \
	done
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  benchmarks/quix_requirements.in -o benchmarks/quix_requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  benchmarks/litellm_requirements.in -o benchmarks/litellm_requirements.txt
	echo uv | uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements/uv.txt
