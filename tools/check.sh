#!/usr/bin/env bash
# All checks of `make test`: style, types, the house's laws, documentation, tests. Runs them all, then says what failed.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
failed=()

check() {
    local title=$1 start=$SECONDS; shift
    printf '\n=== %s\n' "$title"
    if "$@"; then
        printf '=== %s: passed in %d s\n' "$title" $((SECONDS - start))
    else
        failed+=("$title")
        printf '=== %s: FAILED\n' "$title"
    fi
}

check 'style (ruff check)' ruff check .
check 'format (ruff format)' ruff format --check .
check 'types (mypy)' mypy
check 'laws of the house (import-linter)' lint-imports
check 'documentation (sphinx)' sphinx-build -q -W --keep-going -b html docs docs/_build/html
check 'tests on PostgreSQL and RabbitMQ (pytest --production)' pytest --production -m production tests
# Last, so that the closing line of the test runner ends the output. In the order of the folders, not by the number of
# tests in them: those that take longest are few.
check 'tests (pytest)' pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder "$@"

if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFailed: %s\n' "${failed[*]}" >&2
    exit 1
fi
