# `make help` lists the targets. PYTHON picks the interpreter that makes .venv (3.11 or newer).
PYTHON ?= python3
VENV := .venv/bin
READY := .venv/.ready
# In this mode `import falip` finds the package from any folder, one that holds a clone named falip too.
EDITABLE := --config-settings editable_mode=compat --editable
TABLES ?= all
SPLITS ?=
LIMIT ?=
RELEASED ?=
BACKBONE ?=
TASKS ?=
ARGS ?=
WORKERS ?= 2
SUBSET = $(if $(LIMIT),task.limit=$(LIMIT))
EMBEDDED := smoke_rec table_classification table_pointcloud table_mask_form table_attention table_unleash \
  table_combinations table_readouts table_regions table_lift sweep_alpha_sigma sweep_layers

.DEFAULT_GOAL := help
.PHONY: help setup smoke test test-slow lint format tables report figures reproduce status speed align train-tiny clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## Makes .venv with everything that is needed

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(VENV)/python -m pip install --quiet --upgrade pip
	$(VENV)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(VENV)/python -m pip install --quiet --constraint constraints.txt $(EDITABLE) '.[dev,relations,fgvp,meshes]'
	touch $@

smoke: $(READY) ## Evaluates every prompt on the embedded benchmark, all three tasks, and prints the tables (LIMIT=20 scenes)
	$(VENV)/falip run +experiment=smoke_rec $(SUBSET)
	$(VENV)/falip run +experiment=smoke_classification $(SUBSET)
	$(VENV)/falip run +experiment=smoke_pointcloud $(SUBSET)
	$(VENV)/falip tables --experiment smoke_rec $(if $(LIMIT),--allow-subset)
	$(VENV)/falip tables --experiment smoke_classification $(if $(LIMIT),--allow-subset)
	$(VENV)/falip tables --experiment smoke_pointcloud $(if $(LIMIT),--allow-subset)
	@printf '\n%s\n' 'Done. Next, after `source .venv/bin/activate`:' \
	  '  falip report                            these runs as one page: results/report/index.html' \
	  '  falip look PHOTO --box x0,y0,x1,y1 --text "a dog" --text "a cat" --out look.png' \
	  '  falip list                              every prompt, backbone, task and experiment' \
	  '  falip data check                        what real data and weights there are, and how to get them'

test: $(READY) ## Runs the checks, in under five minutes
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-slow: $(READY) ## Runs the checks that do not fit there
	OMP_NUM_THREADS=1 $(VENV)/python -m pytest -m slow --timeout 1800 -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(READY) ## Style and types
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/pyright

format: $(READY) ## Mends what lint can mend by itself
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

reproduce: $(READY) ## The papers' tables on real data, side by side with the published figures (TABLES=rec,reclip TASKS=rec/refcoco SPLITS=testA LIMIT=64 RELEASED=1 BACKBONE=vit_b16 ARGS=--dry-run)
	$(VENV)/falip reproduce --tables $(TABLES) $(if $(BACKBONE),--backbone $(BACKBONE)) $(if $(TASKS),--tasks $(TASKS)) $(if $(SPLITS),--splits $(SPLITS)) $(if $(LIMIT),--limit $(LIMIT)) $(if $(RELEASED),--released) $(ARGS)

tables: $(READY) ## Makes results/embedded/ again: runs what is missing and writes its tables
	set -e; for experiment in $(EMBEDDED); do \
	  $(VENV)/falip run +experiment=$$experiment $(ARGS); \
	  $(VENV)/falip tables --experiment $$experiment --data embedded --out results/embedded \
	    --name $$(test $$experiment = smoke_rec && echo rec || echo $$experiment); \
	done

report: $(READY) ## One HTML page of all runs: results/report/index.html
	$(VENV)/falip report $(ARGS)

figures: $(READY) ## Every figure of the embedded benchmark: results/figures/
	set -e; for figure in attention depth_maps heads examples; do $(VENV)/falip figures $$figure $(ARGS); done

status: $(READY) ## Which runs are complete, partial or failed
	$(VENV)/falip status $(ARGS)

speed: $(READY) ## Measures the ways of encoding many regions against each other
	$(VENV)/falip speed $(ARGS)

align: $(READY) ## Fine-tunes the embedded CLIP under a domain shift, plainly and with each term: results/embedded/table_align.md
	$(VENV)/python -m scripts.shift $(ARGS)

train-tiny: $(READY) ## Trains the embedded CLIP again into results/train_tiny/second (an hour on two cores)
	$(VENV)/python -m scripts.train_tiny --minutes 35
	$(VENV)/python -m scripts.train_tiny --minutes 24 --start results/train_tiny --out results/train_tiny/second

clean: ## Removes runs, caches and .venv; committed results stay
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis results/runs results/hydra results/tables results/report results/figures
