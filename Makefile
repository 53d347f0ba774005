# Two commands: `make demo` and `make test`. Both set up everything they need inside this folder.

.PHONY: help demo test lint docs clean

help:
	@echo 'make demo    set up, train, screen 7,056 halides, compute the best two, write a report (about 25 minutes)'
	@echo 'make test    set up and run all checks and tests'
	@echo 'make lint    style, types and the laws of the house only'
	@echo 'make docs    build the documentation into docs/_build/html'
	@echo 'make clean   remove what the others made here: environment, profile, reports'
	@echo
	@echo 'PYTHON=/path/to/python3 chooses the interpreter (3.11 or newer).'

demo:
	@PYTHON='$(PYTHON)' tools/bootstrap.sh demo
	@tools/demo.sh

test:
	@PYTHON='$(PYTHON)' tools/bootstrap.sh test
	@tools/check.sh

lint:
	@PYTHON='$(PYTHON)' tools/bootstrap.sh test
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

docs:
	@PYTHON='$(PYTHON)' tools/bootstrap.sh test
	.venv/bin/sphinx-build -q -W -b html docs docs/_build/html
	@echo 'open docs/_build/html/index.html'

clean:
	-@if [ -x .venv/bin/verdi ]; then . tools/activate && verdi daemon stop >/dev/null 2>&1; fi
	rm -rf .venv .aiida-home campaign-reports docs/_build
