# Each target makes or renews .venv first (ops/setup.sh); nothing else is needed but Python 3.11 and the registry.
.PHONY: help run test check bench prove lock docs dashboards alarms
.DEFAULT_GOAL := help

PYTHON_HERE := .venv/bin/python

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

run: ## everything in one, with ./config.json or a demo (CONFIG=FILE, HOOK=URL, ARGS="--workers 2")
	@sh ops/setup.sh
	@exec $(PYTHON_HERE) -m whatshooked run $(if $(CONFIG),-c "$(CONFIG)") $(if $(HOOK),--hook "$(HOOK)") $(ARGS)

test: ## the tests (ARGS="tests/test_path.py -k replay")
	@sh ops/setup.sh dev
	@$(PYTHON_HERE) -m pytest -n 2 $(ARGS)

check: ## format, lint, types, import order, dead code
	@sh ops/setup.sh dev
	@$(PYTHON_HERE) -m ruff format --check --quiet .
	@$(PYTHON_HERE) -m ruff check --quiet .
	@$(PYTHON_HERE) -m mypy
	@.venv/bin/lint-imports --no-cache --no-logo
	@$(PYTHON_HERE) -m vulture
	@echo "all checks passed"

bench: ## speed, as ratios in one run on this machine (ARGS=--quick)
	@sh ops/setup.sh dev
	@$(PYTHON_HERE) -m ops.bench $(ARGS)

prove: ## kill processes at every step and count what arrived
	@sh ops/setup.sh dev
	@$(PYTHON_HERE) -m ops.faults $(ARGS)

lock: ## write the locks anew from pyproject.toml (ARGS=--upgrade)
	@sh ops/lock.sh $(ARGS)

docs: ## write what is made of the config's model, the runbook, the alarms and redis.conf
	@sh ops/setup.sh dev
	@$(PYTHON_HERE) -m ops.docs
	@$(PYTHON_HERE) -m ops.manifests
	@$(PYTHON_HERE) -m grafana

alarms: ## make every fault, see its alarm come and go (ARGS=--write puts the table into docs/alarms.md)
	@sh ops/setup.sh dev
	@$(PYTHON_HERE) -m ops.alarms $(ARGS)

dashboards: ## write grafana/dashboards from grafana/*.py and ops/RUNBOOK.md
	@sh ops/setup.sh dev
	@$(PYTHON_HERE) -m grafana
