# make demo | test | fast | lint | results | benchmarks. README.md has the commands without make.
PYTHON ?= python3
EXTRAS ?=
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test fast lint results benchmarks

help:
	@echo "make demo     install, train chapter 12 on the shipped poems, print three poems it writes"
	@echo "make test     install, run all tests (about fifty minutes on two cores)"
	@echo "make fast     the tests without the slow ones"
	@echo "make lint     ruff"
	@echo "make results  update the tables of all READMEs and the generated parts of docs/"
	@echo "make benchmarks  the speed of all chapters beside other libraries"

.venv/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".$(EXTRAS)"
	touch $@

demo: .venv/.installed
	cd chapter12 && ../$(BIN)/python train.py --input_file poetry.txt

test: .venv/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

fast: .venv/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: .venv/.installed
	$(BIN)/ruff check .

results: .venv/.installed
	$(BIN)/python -m tools.readme_tables
	$(BIN)/python -m tools.datasets_page
	$(BIN)/python -m tools.code_links

benchmarks: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-benchmarks.txt
	for file in benchmarks/chapter*.py; do $(BIN)/python -m benchmarks.$$(basename $$file .py) || exit 1; done
	$(BIN)/python -m tools.readme_tables
