PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
JOBS ?= 2

.PHONY: setup demo demo-offline test thorough slow gpu fmt bench clean

setup: .venv/installed ## make .venv with the package and its development extras

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "multiaxis needs Python 3.11 or newer: make setup PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup ## restore the rainy sample photograph and show before and after
	mkdir -p demo
	@$(BIN)/multiaxis restore docs/sample/rainy.jpg --task derain -o demo/restored.jpg --overwrite \
		&& cp docs/sample/rainy.jpg demo/before.jpg || { test $$? -eq 3 && $(MAKE) --no-print-directory demo-offline; }
	$(BIN)/multiaxis compare demo/before.jpg demo/restored.jpg -o demo/before_after.png --overwrite
	@echo "Look at demo/before_after.png"

demo-offline: # no source has the published weights: the small denoiser needs none
	@echo "No source of the derain weights answers: showing the small denoiser that comes with the package instead."
	$(BIN)/multiaxis degrade docs/sample/clean.jpg demo/before.jpg --with gaussian-noise:sigma=25 --overwrite
	$(BIN)/multiaxis restore demo/before.jpg --task denoise --model nano -o demo/restored.jpg --overwrite

test: setup ## the linters and the quick tests, under two minutes; JOBS=4 for more processes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -n $(JOBS) --dist worksteal

thorough: setup ## the longer tests, which CI runs too: killed processes, exports, trainings
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m 'thorough and not slow and not gpu'

slow: setup ## the same questions for the large models: minutes, and 8 GB of memory
	OMP_NUM_THREADS=$$(getconf _NPROCESSORS_ONLN) $(BIN)/pytest -m slow

gpu: setup ## on a machine with a GPU: its tests, and the tables of docs/gpu.md
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
		$(BIN)/pytest -m gpu && $(BIN)/python benchmarks/gpu.py; \
	else \
		echo "No CUDA GPU is here: nothing to run (make test covers the logic on the processor)."; \
	fi

bench: setup ## seconds, share of the matrix-multiply rate, memory; beside timm and torchvision
	$(BIN)/python benchmarks/axis.py
	$(BIN)/python benchmarks/maxim.py
	$(BIN)/python benchmarks/busy.py
	$(BIN)/python benchmarks/maxvit.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/sequences.py

fmt: setup ## format and repair what can be repaired
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format

clean: ## remove the environment and what demos and tests left
	rm -rf .venv demo .pytest_cache .ruff_cache .hypothesis
