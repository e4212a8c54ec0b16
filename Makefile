# Every target sets up what it needs: a virtual environment in .venv, from pyproject.toml and constraints.txt.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PHOTOS ?=
SEED   ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit faults check docs bench bench-queue bench-backfill bench-rescore bench-feed bench-scoring bench-search bench-captions quality search-quality captions-by-eye fmt clean

help:  ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "stockmeta needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@echo "Setting up $(VENV): about 4 minutes and 6 GB, most of it PyTorch."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,demo,heif,opensearch]'
	@touch $@

demo: $(READY)  ## Tag ten photographs (or PHOTOS=folder) with a real queue and worker; writes demo-output/contact-sheet.html
	$(BIN)/stockmeta demo $(if $(PHOTOS),--photos '$(PHOTOS)')

test: $(READY)  ## All tests: unit, then those that start real servers, processes and models
	$(BIN)/python -m pytest tests --ignore tests/integration --ignore tests/faults -m 'not integration and not faults' -p tests.no_torch -n auto
	$(BIN)/python -m pytest -m integration

test-unit: $(READY)  ## The fast tests only
	$(BIN)/python -m pytest tests --ignore tests/integration --ignore tests/faults -m 'not integration and not faults' -p tests.no_torch -n auto

faults: $(READY)  ## Kill, freeze and fill real servers and workers, and look what became of every image (SEED=1)
	FAULTS_SEED=$(SEED) $(BIN)/python -m pytest tests/faults -m faults --timeout=900

check: $(READY)  ## Lint, types, import contracts, the Compose file, the vocabulary, and that the docs agree with the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/python scripts/docs.py --check
	$(BIN)/stockmeta taxonomy validate

docs: $(READY)  ## Write again what the docs take from the code: each command's help, the settings
	$(BIN)/python scripts/docs.py

bench: $(READY)  ## Images a second, beside the bounds and a plain loop (PHOTOS=folder)
	$(BIN)/python scripts/bench.py $(if $(PHOTOS),--photos '$(PHOTOS)')

bench-queue: $(READY)  ## What the queue and the store cost, and how soon an upload has its sidecar (PHOTOS=folder)
	$(BIN)/python scripts/bench_queue.py $(if $(PHOTOS),--photos '$(PHOTOS)')

bench-backfill: $(READY)  ## Listing and merging ten million keys and 200,000 objects on SeaweedFS; uploads during a backfill (PHOTOS=folder)
	$(BIN)/python scripts/bench_listing.py
	$(BIN)/python scripts/bench_fairness.py $(if $(PHOTOS),--photos '$(PHOTOS)')

bench-rescore: $(READY)  ## Scoring stored embeddings again, against tagging: in a folder, on SeaweedFS, from packs (PHOTOS=folder)
	$(BIN)/python scripts/bench_rescore.py $(if $(PHOTOS),--photos '$(PHOTOS)')

bench-feed: $(READY)  ## Documents a second into each kind of index, how far it lags behind, and the memory of a million documents
	$(BIN)/python scripts/bench_feed.py

bench-scoring: $(READY)  ## Milliseconds an image for scoring against 20,000 and 100,000 concepts
	$(BIN)/python scripts/bench_scoring.py

bench-search: $(READY)  ## Filling and searching the embedded index: 100,000 synthetic documents
	$(BIN)/python scripts/bench_search.py

bench-captions: $(READY)  ## Generated captions a second, beside a plain loop over open_clip's own forward
	$(BIN)/python scripts/bench_captions.py

quality: $(READY)  ## How good the keywords are, on labelled photographs (PHOTOS=folder with manifest.jsonl)
	$(BIN)/python scripts/quality.py $(if $(PHOTOS),--photos '$(PHOTOS)')

search-quality: $(READY)  ## How good searches are, on labelled photographs (PHOTOS=folder with manifest.jsonl)
	$(BIN)/python scripts/search_quality.py $(if $(PHOTOS),--photos '$(PHOTOS)')

captions-by-eye: $(READY)  ## What an eye said of the composed captions; fails where one was not read (PHOTOS=folder with manifest.jsonl)
	$(BIN)/python scripts/captions.py $(if $(PHOTOS),--photos '$(PHOTOS)')

fmt: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-output
