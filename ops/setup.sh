#!/bin/sh
# Makes .venv from the hashed lock, once, and again when the lock changes.
#
#   sh ops/setup.sh        what running needs (requirements.txt)
#   sh ops/setup.sh dev    that, and the tools of the tests (requirements-dev.txt)
#   sh ops/setup.sh ci     that, and what checks image, compose file and manifests (requirements-ci.txt)
#
# PYTHON names the interpreter, when it is not python3.11 or newer on PATH.
set -eu
cd "$(dirname "$0")/.."

case "${1:-}" in
    "") lock=requirements.txt ;;
    dev) lock=requirements-dev.txt ;;
    ci) lock=requirements-ci.txt ;;
    *) echo "usage: sh ops/setup.sh [dev|ci]" >&2; exit 2 ;;
esac

fresh() {  # does .venv work, and hold what the lock says?
    cmp -s "$lock" ".venv/installed-$lock" && .venv/bin/python -c '' 2>/dev/null
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

interpreter() {
    for name in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer is needed: install it (Debian: apt install python3 python3-venv; macOS: brew install python), or name it with PYTHON=/path/to/python3" >&2
    exit 69
}

if fresh; then exit 0; fi

make_environment() {
    if ! said=$("$1" -m venv --clear .venv 2>&1); then
        rm -rf .venv
        case "$said" in
            *ensurepip*|*"No module named venv"*)
                echo "This Python has no venv: install it (Debian: apt install python3-venv), then try again" >&2 ;;
            *) echo "$said" >&2 ;;
        esac
        exit 69
    fi
}

python=$(interpreter)
echo "Setting up .venv with $("$python" -V) from $lock: once, takes a minute ..." >&2
rm -f .venv/installed-*
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then make_environment "$python"; fi
if ! .venv/bin/python -m pip -qq --disable-pip-version-check --no-input install --require-hashes -r "$lock"; then
    echo "The packages of $lock could not be installed: is the package registry reachable from here?" >&2
    exit 69
fi
# Each lock holds all of the smaller ones, in the same versions.
for held in requirements.txt requirements-dev.txt requirements-ci.txt; do
    cp "$held" ".venv/installed-$held"
    if [ "$held" = "$lock" ]; then break; fi
done
