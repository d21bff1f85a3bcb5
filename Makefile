# `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help install demo test test-quick lint format weights weights-gpu wheel clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Compiled once here, or every start would parse torch and its company again.
export UV_COMPILE_BYTECODE := 1

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install the package with its development tools

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 install"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: install ## the shipped networks click on drawn scenes: NoC table and a page of pictures in demo/
	$(BIN)/isrefiner demo out=demo

test: install ## run every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test-quick: install ## run the tests that take seconds
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: install ## check style, form and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# WITH goes to each of the trainings, such as WITH="trainer.precision=bf16-mixed"
weights: install ## train small weights from nothing on a CPU, into runs/ (hours; needs the data of VFM_SHARED)
	$(BIN)/isrefiner train experiment=default_stage1 reuse=true paths.run=runs/stage1 $(WITH)
	$(BIN)/isrefiner train experiment=default_stage1_large reuse=true paths.run=runs/stage1_large \
	  pretrained=runs/stage1/network.safetensors $(WITH)
	$(BIN)/isrefiner train experiment=default_stage1_more reuse=true paths.run=runs/stage1_more \
	  pretrained=runs/stage1_large/network.safetensors $(WITH)
	$(BIN)/isrefiner train experiment=default_stage1_last reuse=true paths.run=runs/stage1_last \
	  pretrained=runs/stage1_more/network.safetensors $(WITH)
	$(BIN)/isrefiner train experiment=default_stage2 reuse=true paths.run=runs/stage2 \
	  pretrained=runs/stage1_last/network.safetensors $(WITH)
	$(BIN)/isrefiner train experiment=default_stage2_large reuse=true paths.run=runs/stage2_large \
	  pretrained=runs/stage2/network.safetensors $(WITH)
	$(BIN)/isrefiner train experiment=default_stage2_more reuse=true paths.run=runs/stage2_more \
	  pretrained=runs/stage2_large/network.safetensors $(WITH)
	$(BIN)/isrefiner train experiment=default_stage2_last reuse=true paths.run=runs/stage2_last \
	  pretrained=runs/stage2_more/network.safetensors $(WITH)
	test -f runs/default_stage1.safetensors || $(BIN)/isrefiner calibrate checkpoint=runs/stage1_last/network.safetensors \
	  data=real split=val limit=50 input_size=448 half=true out=runs/default_stage1.safetensors
	test -f runs/default_stage2.safetensors || $(BIN)/isrefiner calibrate checkpoint=runs/stage2_last/network.safetensors \
	  data=real split=val limit=30 input_size=448 half=true out=runs/default_stage2.safetensors

# What they go on from: weights by name, or files such as those that `make weights` leaves
FROM1 ?= default_stage1
FROM2 ?= default_stage2
weights-gpu: install ## go on with them on a GPU for some eight minutes, into runs/ (WITH="minutes=30": as long for each of three runs)
	$(BIN)/isrefiner train experiment=gpu_stage1 reuse=true paths.run=runs/gpu_stage1 pretrained=$(FROM1) $(WITH)
	$(BIN)/isrefiner train experiment=gpu_stage1_large reuse=true paths.run=runs/gpu_stage1_large \
	  pretrained=runs/gpu_stage1/network.safetensors $(WITH)
	$(BIN)/isrefiner train experiment=gpu_stage2 reuse=true paths.run=runs/gpu_stage2 model.checkpoint=$(FROM2) \
	  pretrained=runs/gpu_stage1_large/network.safetensors $(WITH)
	test -f runs/gpu_default_stage1.safetensors || $(BIN)/isrefiner calibrate checkpoint=runs/gpu_stage1_large/network.safetensors \
	  data=real split=val limit=50 input_size=448 half=true out=runs/gpu_default_stage1.safetensors
	test -f runs/gpu_default_stage2.safetensors || $(BIN)/isrefiner calibrate checkpoint=runs/gpu_stage2/network.safetensors \
	  data=real split=val limit=30 input_size=448 half=true out=runs/gpu_default_stage2.safetensors

wheel: install ## build the wheel and the source archive into dist/
	$(BIN)/uv build

clean: ## remove what was made here (not outputs/)
	rm -rf $(VENV) dist build demo .pytest_cache .ruff_cache .mypy_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
