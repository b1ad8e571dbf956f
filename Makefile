# Two set-up commands: `make demo` and `make test`. Each makes .venv and installs what it needs.
PYTHON ?= python3
DOCS ?=
FOLDER = $(patsubst ~/%,$(HOME)/%,$(DOCS))
PORT ?= 8501
DATA ?= ../shared/data
SOAK ?= 60
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# `$(call step,name,budget in minutes,command)` runs a command and prints what it took
step = @start=$$(date +%s); $(3) || exit $$?; took=$$(( $$(date +%s) - start )); \
	echo "[$(1)] $${took} s of a budget of $(2) min"

# the tests start hundreds of processes; each would compile the whole library anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint unit coverage evals browser starter slow bench clean

demo: $(VENV)/.demo
ifneq ($(DOCS),)
	@# a bad file is named and stops nothing; where nothing was synced no line is told, and that stops
	GENAI_CHAIN_INDEX=documents $(VENV)/bin/genai index sync --prune "$(FOLDER)" | grep .
	GENAI_CHAIN_INDEX=documents GENAI_INDEX_DOCUMENTS="$$(cd "$(FOLDER)" && pwd)" $(VENV)/bin/genai app --port $(PORT)
else
	$(VENV)/bin/genai index sync
	$(VENV)/bin/genai app --port $(PORT)
endif

test: $(VENV)/.test .venv-peers/.proxy lint unit evals starter browser
	@echo "all checks passed"

lint: $(VENV)/.test
	$(call step,lint,3,$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . \
		&& $(VENV)/bin/mypy && $(VENV)/bin/lint-imports)

unit: $(VENV)/.test .venv-peers/.proxy
	$(call step,unit,14,$(VENV)/bin/pytest tests -n 2 -rs -m "not browser and not starter and not slow")

# branches of genai/ that the unit tests take; the tracer itself loads what a light import may not
coverage: $(VENV)/.test .venv-peers/.proxy
	$(call step,coverage,40,$(VENV)/bin/pytest tests -n 2 --cov --cov-report=term \
		-m "not browser and not starter and not slow" --ignore tests/test_light_import.py)

evals: $(VENV)/.test
	$(call step,evals,2,$(VENV)/bin/pytest evals)

starter: $(VENV)/.test
	$(call step,starter,3,$(VENV)/bin/pytest tests -m starter)

# what takes over a minute: the support preset of the tuning demo, every length of its runs
slow: $(VENV)/.test
	$(call step,slow,30,$(VENV)/bin/pytest tests -m slow)

browser: $(VENV)/.test
	$(call step,browser,5,$(VENV)/bin/pytest tests -m browser)

# some three hours, one of them the soak; what other environments need is left out where they fail
bench: $(VENV)/.test
	-$(VENV)/bin/python benchmarks/peers/install.py
	$(VENV)/bin/python benchmarks/calls.py
	$(VENV)/bin/python benchmarks/ledger.py
	$(VENV)/bin/python benchmarks/spans.py
	$(VENV)/bin/python benchmarks/index.py --data $(DATA)
	$(VENV)/bin/python benchmarks/retrieval.py --data $(DATA) --minilm
	$(VENV)/bin/python benchmarks/guards.py --data $(DATA)
	$(VENV)/bin/python benchmarks/monitor.py
	$(VENV)/bin/python benchmarks/drift.py
	$(VENV)/bin/python benchmarks/traffic.py
	$(VENV)/bin/python benchmarks/evals.py --write
	$(VENV)/bin/python benchmarks/mutants.py --write
	-$(VENV)/bin/python benchmarks/finetune.py --support --write
	-$(VENV)/bin/python benchmarks/rewriting.py --data $(DATA)
	$(VENV)/bin/python benchmarks/soak.py --minutes $(SOAK) --write
	$(VENV)/bin/python benchmarks/table.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (two to four minutes the first time) ..."
	$(PIP) --editable '.[gateway,rag,guards,evals,apps,reports]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (three to five minutes the first time) ..."
	$(PIP) --editable '.[all]'
	@touch $@ $(VENV)/.demo

# the proxy's own pins fit no other environment
.venv-peers/.proxy:
	$(PYTHON) -m venv .venv-peers/proxy
	.venv-peers/proxy/bin/python -m pip install --quiet --disable-pip-version-check 'litellm[proxy]==1.106.2'
	@touch $@

clean:
	rm -rf $(VENV) .venv-peers .genai .mypy_cache .ruff_cache .pytest_cache
