# make demo | test | fast | lint | results | benchmarks. README.md has the commands without make.
PYTHON ?= python3
EXTRAS ?=
comma := ,
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test fast lint results benchmarks

help:
	@echo "              (Python 3.11 to 3.13; another than python3: make PYTHON=python3.12 demo)"
	@echo "make demo     install, train chapter 12 on the shipped poems, print three poems it writes"
	@echo "make test     install, run the tests (about fifty minutes on two cores)"
	@echo "              with those of optional packages: make test EXTRAS='[hed,test,camera,formats]'"
	@echo "make fast     the tests without the slow ones"
	@echo "make lint     ruff"
	@echo "make results  update the tables of all READMEs and the generated parts of docs/"
	@echo "make benchmarks  the speed of all chapters beside other libraries"

# A stamp for each choice of extras, so that another choice installs again.
INSTALLED := .venv/.installed$(patsubst [%],-%,$(subst $(comma),-,$(EXTRAS)))

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
		"Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".$(EXTRAS)"
	touch $@

demo: $(INSTALLED)
	cd chapter12 && ../$(BIN)/python train.py --input_file poetry.txt

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile

fast: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .

results: $(INSTALLED)
	$(BIN)/python -m tools.readme_tables
	$(BIN)/python -m tools.datasets_page
	$(BIN)/python -m tools.code_links

benchmarks: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-benchmarks.txt --editable ".[hed]"
	for file in benchmarks/chapter*.py; do \
		case $$file in *08*|*09*|*10*|*11*) export TF_ENABLE_ONEDNN_OPTS=1;; *) unset TF_ENABLE_ONEDNN_OPTS;; esac; \
		$(BIN)/python -m benchmarks.$$(basename $$file .py) || failed="$$failed $$file"; \
	done; $(BIN)/python -m tools.readme_tables; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }
