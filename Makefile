# `make help` lists the targets. The environment lives in .venv and is made when pyproject.toml changes.

PYTHON := $(firstword $(foreach name,python3.13 python3.12 python3.11 python3 python,$(shell command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
BIN := .venv/bin
RUN := .venv/.run
DEV := .venv/.dev
PROCESSORS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
# Two more than processors: tests of time-outs and kills wait a great deal. With three more nothing waits any longer.
WORKERS ?= $(shell expr 2 + $(PROCESSORS))
# One more than processors: a page waits a sixth of the time.
BROWSERS ?= $(shell expr 1 + $(PROCESSORS))

.DEFAULT_GOAL := help
.PHONY: help run test test-supabase saol migration check fix e2e interruptions soak bench bench-step bench-peers bench-growth benchexport benchgrid bench-insight bench-quality bench-plan bench-variety train-proof trainers faults licences constraints fleet clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(RUN) ## start the app on the embedded database
	$(BIN)/brightrun app

test: $(DEV) ## run the tests
	$(BIN)/pytest --ignore=tests/e2e -n $(WORKERS) --dist worksteal -q

test-supabase: $(DEV) ## the contract suite on a real project: BR_TEST_SUPABASE_URL, BR_TEST_SUPABASE_KEY, BR_TEST_DATABASE_URL
	@test -n "$$BR_TEST_SUPABASE_URL" && test -n "$$BR_TEST_SUPABASE_KEY" && test -n "$$BR_TEST_DATABASE_URL" || \
	  { echo "Set BR_TEST_SUPABASE_URL, BR_TEST_SUPABASE_KEY and BR_TEST_DATABASE_URL (docs/how-to/supabase.md)"; exit 1; }
	$(BIN)/pytest tests/contract/test_saol.py tests/contract/test_saol_files.py tests/contract/test_saol_statements.py \
	  tests/contract/test_saol_scale.py -q

saol: $(DEV) ## hostile rows, conditions and injections at full size; ROWS, TABLES, INJECTIONS, SEED say how many
	BR_SAOL_ROWS=$(or $(ROWS),10000) BR_SAOL_TABLES=$(or $(TABLES),10000) BR_SAOL_INJECTIONS=$(or $(INJECTIONS),1000) \
	  BR_SAOL_SEED=$(or $(SEED),20261125) $(BIN)/pytest tests/contract/test_saol_scale.py -q -s

migration: $(DEV) ## move an installation of CONVERSATIONS=5250 items to a second server, killed twice on the way
	BR_MIGRATE_CONVERSATIONS=$(or $(CONVERSATIONS),5250) $(BIN)/pytest tests/faults/test_migration.py -q -s -k whole

check: $(DEV) ## lint, layers, types, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy --num-workers auto
	$(BIN)/deptry .

fix: $(DEV) ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

e2e: $(DEV) ## drive the app in a real Chromium; ALL=1 in the dark too, with the larger sheet, all pages and all hostile texts
	@command -v chromium >/dev/null || { echo "The browser tests need Debian's chromium: apt-get install chromium chromium-headless-shell"; exit 1; }
	BRIGHTRUN_ALL=$(ALL) $(BIN)/pytest tests/e2e -n $(BROWSERS) --dist worksteal -q --reruns 2 --reruns-delay 3 -rR

interruptions: $(DEV) ## break in on a running batch; INTERRUPTIONS, SEED, KINDS=cancel say how
	BRIGHTRUN_INTERRUPTIONS=$(or $(INTERRUPTIONS),100) BRIGHTRUN_SEED=$(or $(SEED),20261124) BRIGHTRUN_CANCEL_SECONDS=1 \
	  BRIGHTRUN_KINDS=$(KINDS) \
	  $(BIN)/pytest tests/e2e/test_interruptions.py -q -s

soak: $(DEV) ## a long batch through the real page; SOAK=5000 says how long, CURVE names a CSV file
	BRIGHTRUN_SOAK=$(or $(SOAK),5000) BRIGHTRUN_SOAK_CURVE=$(CURVE) BRIGHTRUN_RERUN_SECONDS=2 \
	  $(BIN)/pytest tests/e2e/test_soak.py -q -s

fleet: $(DEV) ## kill a worker of a fleet every two seconds; ITEMS, SECONDS say how long
	BRIGHTRUN_FLEET_ITEMS=$(or $(ITEMS),2000) BRIGHTRUN_FLEET_SECONDS=$(or $(SECONDS),120) BRIGHTRUN_FLEET_CALL=0.7 \
	  $(BIN)/pytest tests/faults/test_fleet.py -n 2 -q -rA

faults: $(DEV) ## do the damage at full size; FAULTS, KILLS, RESTARTS, TRANSPORT, ANSWERS, BUDGETS, REVIEWERS, BULK, SEED, ONLY=test_kill say which
	BRIGHTRUN_FAULTS=$(or $(FAULTS),50) BRIGHTRUN_KILLS=$(or $(KILLS),1000) BRIGHTRUN_RESTARTS=$(or $(RESTARTS),50) \
	  BRIGHTRUN_TRANSPORT_FAULTS=$(or $(TRANSPORT),1000) BRIGHTRUN_ANSWER_FAULTS=$(or $(ANSWERS),100000) \
	  BRIGHTRUN_BUDGETS=$(or $(BUDGETS),500) BRIGHTRUN_REVIEWERS=$(or $(REVIEWERS),1000) BRIGHTRUN_BULK=$(or $(BULK),5000) \
	  BRIGHTRUN_FAULT_SEED=$(or $(SEED),20261123) $(BIN)/pytest $(if $(ONLY),tests/faults/$(ONLY).py,tests/faults) -q -s

bench: bench-step bench-peers benchexport bench-insight bench-plan bench-quality benchgrid bench-growth ## measure everything, an hour; each target writes its own page of docs/

bench-step: $(DEV) ## measure the step and the slots, and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

bench-peers: $(DEV) ## measure many calls at a time beside other tools, and write docs/peers-benchmarks.md; installs 4 GB into .peers/
	$(BIN)/python -m benchmarks.peers

bench-growth: $(DEV) ## measure pages and step with 1,000 to 1,000,000 conversations, and write docs/growth-benchmarks.md
	$(BIN)/python -m benchmarks.growth

benchexport: $(DEV) ## measure exports, and write docs/export-benchmarks.md
	$(BIN)/python -m benchmarks.export

bench-insight: $(DEV) ## measure the figures of the insight page, and write docs/insight-benchmarks.md
	$(BIN)/python -m benchmarks.insight

bench-plan: $(DEV) ## measure the planner, and write docs/plan-benchmarks.md
	$(BIN)/python -m benchmarks.plan

bench-variety: $(DEV) ## measure how varied PEOPLE and demo conversations are, and write docs/variety-benchmarks.md
	$(BIN)/python -m benchmarks.variety $(PEOPLE)

bench-quality: $(DEV) ## measure near-duplicates, rules and score, and write docs/quality-benchmarks.md; PEOPLE names a .jsonl.gz
	$(BIN)/python -m benchmarks.quality $(if $(PEOPLE),--people $(PEOPLE))

benchgrid: $(DEV) ## measure the review in a real Chromium, and write docs/grid-benchmarks.md
	$(BIN)/python -m benchmarks.grid

train-proof: $(DEV) ## train on an exported folder with TRL, and write docs/training.md
	@test -x .train/bin/python || $(PYTHON) -m venv .train
	.train/bin/python -m pip install --quiet torch==2.13.0 trl==1.16.0 peft==0.21.2
	rm -rf build/train && mkdir -p build/train/work
	$(BIN)/python -m tests.training.export build/train/out > build/train/folder
	.train/bin/python tests/training/prove.py "$$(tail -1 build/train/folder)" build/train/work docs/training.md

trainers: $(DEV) ## load and train by LLaMA-Factory and Axolotl, and write docs/trainers.md
	tests/training/install.sh $(PYTHON) .trainers
	rm -rf build/trainers && mkdir -p build/trainers
	$(BIN)/python -m tests.training.export build/trainers/out > build/trainers/folder
	for name in llamafactory axolotl; do .trainers/$$name/bin/python tests/training/load.py $$name \
	  "$$(tail -1 build/trainers/folder)" build/trainers/$$name build/trainers/$$name.json || exit 1; done
	$(BIN)/python -m tests.training.page docs/trainers.md build/trainers/llamafactory.json build/trainers/axolotl.json

constraints: $(DEV) ## write constraints.txt: the exact versions this environment runs on
	$(BIN)/python -m tests.constraints > constraints.txt

licences: ## list every dependency with its licence, audit them, and write docs/licences.md
	rm -rf .licences && $(PYTHON) -m venv .licences/app && $(PYTHON) -m venv .licences/tools
	.licences/app/bin/python -m pip install --quiet --disable-pip-version-check .
	.licences/tools/bin/python -m pip install --quiet --disable-pip-version-check 'pip-licenses>=5.5,<6' 'pip-audit>=2.10,<3'
	.licences/tools/bin/pip-licenses --python .licences/app/bin/python --format json --with-urls > .licences/licences.json
	-.licences/tools/bin/pip-audit --path $$(.licences/app/bin/python -c "import site; print(site.getsitepackages()[0])") \
	  --format json --progress-spinner off > .licences/audit.json 2> .licences/audit.log
	$(PYTHON) -m tests.licences .licences/licences.json .licences/audit.json \
	  "$$($(PYTHON) -c 'import platform; print(platform.python_version())')" docs/licences.md
	rm -rf .licences

clean: ## remove the environment and caches
	rm -rf .venv .train .trainers .licences .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(RUN): pyproject.toml
	@$(call environment)
	@$(call install,-e .)
	@touch $@

$(DEV): pyproject.toml
	@$(call environment)
	@$(call install,-e . --group dev)
	@touch $@ $(RUN)

# uv where it is there, venv and pip otherwise.
define environment
	test -n "$(PYTHON)" || { echo "Bright Run needs Python 3.11 or newer; none was found on the PATH."; exit 1; }; \
	if test ! -x $(BIN)/python; then \
	  if command -v uv >/dev/null 2>&1; then uv venv --quiet --python $(PYTHON) .venv; \
	  else $(PYTHON) -m venv .venv || { echo "Python's venv is incomplete: on Debian, apt-get install python3-venv"; rm -rf .venv; exit 1; }; fi; \
	fi
endef

define install
	if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python $(1); \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check $(INSTALL_FLAGS) $(1); fi
endef
