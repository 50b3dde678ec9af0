# Python 3.11 or later and make are all that a fresh machine needs; everything else goes into .venv/.
#   make test PYTHON=python3.12    another Python, from the path or from pyenv, into .venv-3.12/

PYTHON ?= python3
VERSION := $(patsubst python%,%,$(filter python3.%,$(notdir $(PYTHON))))
# What .venv holds already, or would hold: that Python is not installed a second time under its own name.
DEFAULT = $(shell { .venv/bin/python -c "$(SAY_VERSION)" || python3 -c "$(SAY_VERSION)"; } 2>/dev/null)
SAY_VERSION := import sys; print('%d.%d' % sys.version_info[:2])
VENV := .venv$(if $(VERSION),$(addprefix -,$(filter-out $(DEFAULT),$(VERSION))))
# pyenv keeps its Pythons off the path, or lays names on it that answer with an error: the newest of that version.
IN_PYENV = $(shell ls -d "$$(pyenv root 2>/dev/null || echo ~/.pyenv)"/versions/$(VERSION)*/bin/python$(VERSION) \
  2>/dev/null | sort --version-sort | tail -n 1)
INTERPRETER = $(shell $(PYTHON) --version >/dev/null 2>&1 && echo '$(PYTHON)' || echo '$(if $(VERSION),$(IN_PYENV))')
BIN := $(VENV)/bin
CONTRACTS := tests/test_contract.py tests/test_metrics_contract.py tests/refusals \
  tests/benchmarks/test_rows.py tests/benchmarks/test_peers_agree.py
PLAIN := tests/test_contract.py tests/test_metrics_contract.py tests/methods tests/metrics
TRUST = tests/trust $(shell grep --recursive --files-with-matches --include='test_*.py' XNB_TRUST tests | \
  grep --invert-match tests/trust)
INSTALLED := $(VENV)/installed
SITE := build/site
TENSORFLOW := .venv-tensorflow
TENSORFLOW_INSTALLED := $(TENSORFLOW)/installed

help:
	@echo "make figures    run the notebooks, one on each core: figures into build/figures/, compared with the stored ones"
	@echo "                  NOTEBOOK=02      only that one"
	@echo "                  PROFILE=paper    the long runs, each on its own data, for hours, into build/figures/paper/;"
	@echo "                                   goes on where it was stopped;  DATASET=folder  other data"
	@echo "                  FORCE=1          also what is up to date"
	@echo "make lab        JupyterLab with the notebooks;  LAB_ARGS=\"--no-browser --port=9000\""
	@echo "make app        the explorer as a web page, for pictures of your own;  APP_ARGS=\"--no-browser --port=9000\""
	@echo "make serve-flask    a service that explains pictures, in Flask;  PORT=8000"
	@echo "make serve-django   the same service in Django;  PORT=8001"
	@echo "make site       the web site from the stored notebooks, into build/site/index.html"
	@echo "make test       lint, tests, and every notebook compared with its stored outputs, on all cores"
	@echo "make refresh    run the notebooks and store their outputs and figures, in notebooks/ and figures/;  NOTEBOOK=02"
	@echo "                  PROFILE=paper    store figures of such a run in figures/paper/;  NEW=1  also further ones"
	@echo "make stale      which figures of long runs are of older code than their notebooks"
	@echo "make bench      time every kernel beside other libraries;  BENCH_ARGS=\"--quick --only lrp\""
	@echo "make bench-relatives  errors of kernel_shap beside shapiq's estimators;  PYTHON=python3.12, which shapiq needs"
	@echo "make bench-scale  time shards, workers and large data, into benchmarks/scaling.json;  BENCH_ARGS=\"--quick\""
	@echo "                  goes on where it was stopped;  BENCH_ARGS=\"sweep cost\" for these parts alone"
	@echo "make bench-accelerator  milliseconds an explanation on the graphics card, into benchmarks/accelerator.json"
	@echo "make bench-serve  time both services under load, into benchmarks/serving.json;  BENCH_ARGS=\"--seconds 2\""
	@echo "make reproduce  compute published tables again, into reproduce/;  TABLE=T2 DATA=folder"
	@echo "make models     ask which methods run on published networks, into MODELS.md; goes on where it was stopped"
	@echo "make cifar10    train what is missing of five kinds of networks on all of CIFAR-10, into data/cifar10/, for hours;"
	@echo "                  goes on where it was stopped;  CIFAR10_ARGS=\"resnet-0 --device cuda\", or --check"
	@echo "make tensorflow    install TensorFlow apart, compare it with torch, and store what notebook 12 shows of it"
	@echo "make lint       ruff, codespell and mypy alone;  make format  lets ruff repair"
	@echo "make contracts  what every method and metric owes, every refusal, and agreement with other libraries"
	@echo "make trust      disks and memory that end, kill -9 at every step of every writer, malicious files, machines that are lost,"
	@echo "                  notebooks run roughly, pages without a mouse: an hour and more;  XNB_NOTEBOOKS=\"02 07\" for these"
	@echo "make fuzz       every public function on drawn networks, inputs and knobs;  CASES=50000"
	@echo "make plain      contracts, methods and metrics with every optimisation switched off;  PART=tests/metrics"
	@echo "                  tests that count passes fail there: they are not marked yet"
	@echo "make mutants    small faults in the arithmetic, and whether its tests find them;  N=300 SEED=0"
	@echo "                  for the better part of an hour; goes on where it was stopped"
	@echo "make accelerator  every method and metric on the graphics card, beside the processor's numbers"
	@echo "make clean      remove build/ and caches; .venv/ and data/cache/ stay"
	@echo "each of them with PYTHON=python3.12 runs on that Python, in an environment of its own: .venv-3.12/"

# The file is written last, so that an interrupted installation is done again.
$(INSTALLED): pyproject.toml constraints.txt
	@test '$(INTERPRETER)' || { \
	  echo "make: PYTHON must name a Python that is installed"; \
	  echo "  got: $(PYTHON), which is neither on the path nor one of pyenv's"; \
	  echo "  try: $(if $(and $(VERSION),$(shell command -v pyenv)),pyenv install $(VERSION),make PYTHON=python3)"; exit 1; } >&2
	@$(INTERPRETER) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { \
	  echo "make: Python must be 3.11 or later"; \
	  echo "  got: $(PYTHON) is $$($(INTERPRETER) --version 2>&1 | tail -n 1)"; \
	  echo "  try: make PYTHON=python3.11"; exit 1; } >&2
	@echo "Installing into $(VENV)/: once, some minutes, as torch is large."
	@$(INTERPRETER) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[notebooks,peers,keras,serve,scale,test,site]'
	@touch $@

# TensorFlow beside PyTorch can end the process: it has an environment and processes of its own.
$(TENSORFLOW_INSTALLED): frameworks/requirements-tensorflow.txt | $(INSTALLED)
	@echo "Installing TensorFlow into $(TENSORFLOW)/: once, 1.4 GB."
	@$(INTERPRETER) -m venv $(TENSORFLOW)
	@$(TENSORFLOW)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --requirement frameworks/requirements-tensorflow.txt
	@touch $@

tensorflow-environment: $(TENSORFLOW_INSTALLED)

tensorflow: $(TENSORFLOW_INSTALLED)
	@$(BIN)/python -m frameworks.record

SELECTION = $(if $(NOTEBOOK),--notebook '$(NOTEBOOK)') $(if $(PROFILE),--profile '$(PROFILE)') \
  $(if $(DATASET),--dataset '$(DATASET)')

figures: $(INSTALLED)
	@$(BIN)/python -m collection.runner figures $(SELECTION) $(if $(FORCE),--force)

refresh: $(INSTALLED)
	@$(BIN)/python -m collection.runner refresh $(SELECTION) $(if $(NEW),--new)

.PHONY: stale
stale: $(INSTALLED)
	@$(BIN)/python -m collection.stamps

lab: $(INSTALLED)
	@$(BIN)/python -m jupyterlab --LabApp.default_url=/lab/tree/notebooks $(LAB_ARGS)

# Nothing is run: pages show what the notebooks have stored. A warning, as of a link that leads nowhere, is an error.
site: $(INSTALLED)
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky \
	  --conf-dir docs --doctree-dir $(SITE)-doctrees . $(SITE)
	@echo "$(SITE)/index.html"

# Files of up to 5 MB are taken; larger ones must still come through to be refused in words.
app: $(INSTALLED)
	@$(BIN)/python -m voila app/explorer.ipynb --Voila.tornado_settings="{'websocket_max_message_size': 200000000}" \
	  $(APP_ARGS)

# Settings are environment variables: services/core/settings.py says which.
serve-flask: $(INSTALLED)
	@$(BIN)/python -m services.serve_flask --port $(or $(PORT),8000) $(SERVE_ARGS)

serve-django: $(INSTALLED)
	@$(BIN)/python -m services.serve_django --port $(or $(PORT),8001) $(SERVE_ARGS)

# Tests, notebooks and the browser share all cores: conftest.py says what stays together, and what begins first.
test: lint
	@$(BIN)/python -m pytest -n auto --durations=15

# On another Python than the usual one this shows most of what can break there.
contracts: $(INSTALLED)
	@$(BIN)/python -m pytest -n auto --durations=5 $(CONTRACTS)

# All that takes too long for every day: minutes, and a C compiler; some of it is for root alone, and says so.
trust: $(INSTALLED)
	@XNB_TRUST=1 $(BIN)/python -m pytest --durations=5 $(TRUST)

# Networks, inputs and knobs that are drawn: XNB_FUZZ_SEED draws those of another day.
fuzz: $(INSTALLED)
	@XNB_FUZZ_CASES=$(or $(CASES),20000) $(BIN)/python -m pytest --durations=5 \
	  tests/trust/test_fuzz.py tests/trust/test_fuzz_found.py

plain: $(INSTALLED)
	@XNB_PLAIN=1 $(BIN)/python -m pytest -n auto --durations=5 $(or $(PART),$(PLAIN))

# One process: the tests are collected once, and run in forks. What a run found stands in tests/trust/mutants.json.
mutants: $(INSTALLED)
	@$(BIN)/python tests/trust/mutants.py --number $(or $(N),300) --seed $(or $(SEED),0) $(MUTANTS_ARGS)

# Where no accelerator is found, the processor alone is asked.
accelerator: $(INSTALLED)
	@$(BIN)/python -m pytest --durations=5 tests/test_accelerator.py

bench: $(INSTALLED)
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-relatives: $(INSTALLED)
	@$(BIN)/python -m benchmarks.relatives $(BENCH_ARGS)

# On an idle machine: the better part of an hour.
bench-scale: $(INSTALLED)
	@$(BIN)/python -m benchmarks.scaling $(BENCH_ARGS)

# Where no accelerator is found, it says so: BENCH_ARGS="--device cpu --quick" tries the program itself.
bench-accelerator: $(INSTALLED)
	@$(BIN)/python -m benchmarks.accelerator $(BENCH_ARGS)

bench-serve: $(INSTALLED)
	@$(BIN)/python -m benchmarks.serving $(BENCH_ARGS)

models: $(INSTALLED)
	@$(BIN)/python -m benchmarks.survey $(MODELS_ARGS)

# XNB_CIFAR10 names a copy of the pictures; without it they are downloaded.
cifar10: $(INSTALLED)
	@$(BIN)/python -m xnb.training.cifar10 $(CIFAR10_ARGS)

reproduce: $(INSTALLED)
	@$(BIN)/python -m reproduce $(TABLE) $(if $(DATA),--data '$(DATA)') $(REPRODUCE_ARGS)

# The Python that PYTHON means, or nothing: .ci/run asks.
interpreter:
	@echo '$(INTERPRETER)'

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/mypy

format: $(INSTALLED)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf build .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

.PHONY: help figures refresh lab site app serve-flask serve-django test contracts trust fuzz plain mutants accelerator bench bench-relatives bench-scale bench-accelerator bench-serve models cifar10 reproduce tensorflow tensorflow-environment lint format clean interpreter
