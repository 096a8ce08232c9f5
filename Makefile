.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements/embedded.txt requirements/uv.txt pyproject.toml
	./deploy/install.sh embedded
	@touch $@

$(VENV)/.dev: requirements/dev.txt requirements/uv.txt pyproject.toml
	./deploy/install.sh dev
	@touch $@ $(VENV)/.runtime

lock: ## pin every dependency with hashes (needs uv)
	for set in runtime embedded dev; do \
	  case $$set in \
	    runtime) extras="--extra build";; \
	    embedded) extras="--extra build --extra embedded";; \
	    dev) extras="--all-extras";; \
	  esac; \
	  uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    $$extras pyproject.toml -o requirements/$$set.txt; \
	done
	echo uv | uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements/uv.txt
