# Every target sets up .venv itself when it is missing or older than the lock. No root, no system packages.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

# What guards most for its time: numbers as they were frozen, estimators beside printed ones, rules of verdicts, a panel that
# is read, releases. pytest stops at a name that no file has. How long they take stands in CONTRIBUTING.md.
QUICK := $(addprefix fewtreated/tests/test_,frozen published estimate exposure frames) \
	$(addprefix tests/test_,golden closed_firms displacement growth design truth verdicts one_rule series numbers words \
	panel config cadence release diff architecture project)

.PHONY: report test quick test-all lab docs check bench fuzz quarter faults size words audit coverage benchmark clean

report: $(READY) ## run what is due in reports/schedule.yml and print the paths of the PDFs
	@$(BIN)/market-impact run

test: $(READY) ## run the tests
	@$(BIN)/python -m pytest

quick: $(READY) ## run the tests that guard most for their time, in under a minute on two quiet cores
	@$(BIN)/python -m pytest $(QUICK:=.py)

test-all: $(READY) ## run them with those that take long: repeated experiments, built pages, a whole run on a real panel
	@$(BIN)/python -m pytest -m "slow or not slow"

lab: $(READY) ## open JupyterLab at notebooks/README.md; options go in ARGS="--no-browser --port 8899"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/README.md \
		--LabApp.app_settings_dir="$(CURDIR)/notebooks/.lab" $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

docs: $(READY) ## build the pages of docs/ into docs/_build/html; a warning is an error
	@$(BIN)/python docs/house.py
	@$(BIN)/sphinx-build -E -q -W --keep-going docs docs/_build/html && echo docs/_build/html/index.html

check: $(READY) ## lint, format, types, sizes and habits within limits, and notebooks without outputs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python benchmarks/size.py --check
	@$(BIN)/nbstripout --keep-id --extra-keys cell.metadata.user_expressions --verify notebooks/*.ipynb notebooks/*/*.ipynb
	@$(BIN)/market-impact check > /dev/null && echo "data: every file as declared"

bench: $(READY) ## time the runner against the plain way, estimators against other libraries, and all estimands as a panel grows; a target missed by half is an error
	@$(BIN)/python benchmarks/overhead.py
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/estimators.py

fuzz: $(READY) ## give every reader a thousand odd and damaged files, and bombs; a traceback, a wait or a gigabyte is an error; some readers with ARGS="map 'bomb a.csv'"
	@$(BIN)/python -W ignore benchmarks/fuzz.py $(ARGS)

quarter: $(READY) ## make up a dozen quarters of scheduled runs with changes and faults, and years of hourly ones; what is not told as it was is an error; as many as QUARTERS=2
	@QUARTERS=$(or $(QUARTERS),12) $(BIN)/python -m pytest -n 0 -m slow tests/test_quarter.py

faults: $(READY) ## kill, starve and damage runs in every way, and count what is lost; a few of each with ARGS=--short
	@$(BIN)/python -W ignore benchmarks/faults.py $(ARGS)

size: $(READY) ## print tokens by package and room, and what else has a limit, beside their budgets
	@$(BIN)/python benchmarks/size.py

words: $(READY) ## count words and numbers in the PDFs of reports/latest, or of ARGS=FOLDER (needs pdftotext); too many in those on real figures are an error
	@$(BIN)/python benchmarks/words.py --check $(ARGS)

audit: $(READY) ## hold every estimand against the truth of simulated markets, plain panels and twins of the households; writes the audit.csv of both and docs/coverage.md, and names the rows that moved; ARGS=--check draws a part again and writes nothing; who works goes in ARGS="--workers 2" (or --local-cluster 2, or --scheduler tcp://...)
	@$(BIN)/python benchmarks/coverage.py $(ARGS)
	@$(BIN)/python benchmarks/households.py $(ARGS)

coverage: audit

benchmark: $(READY) ## fit estimators of several libraries to panels with few closures whose truth is known, and count how often their intervals hold it; writes data/benchmark, or the folder of ARGS="--out FOLDER"; who works goes in ARGS="--workers 2" (or --scheduler tcp://...)
	@$(BIN)/python -W ignore fewtreated/benchmarks/benchmark.py --out data/benchmark --parts build/benchmark $(ARGS)
	@case "$(ARGS)" in *--out*) ;; *) $(BIN)/python -c "from datetime import date; from analysis import data; \
		[data.accept(name, vintage=f'{date.today()}') for name in ('benchmark', 'benchmark_costs')]" ;; esac

clean: ## remove the environment, caches and scratch files; published reports stay
	rm -rf .venv build docs/_build *.egg-info fewtreated/build fewtreated/src/*.egg-info .pytest_cache .mypy_cache .ruff_cache reports/scratch reports/draft
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.txt requirements-uv.txt pyproject.toml fewtreated/pyproject.toml
	@echo "Setting up .venv from requirements.txt (about a minute, once) ..."
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; found $(PYTHON). Give another one: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e ./fewtreated -e .
	@touch $(READY)
	@echo "Ready."
