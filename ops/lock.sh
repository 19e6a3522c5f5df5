#!/bin/sh
# Writes the hashed locks from pyproject.toml, with uv in a throwaway environment. Pins stay as they are where they
# still fit; `sh ops/lock.sh --upgrade` takes the newest.
#
# uv.lock and pylock.toml would record download addresses, so the locks are requirements files.
set -eu
cd "$(dirname "$0")/.."
sh ops/setup.sh dev

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
.venv/bin/python -m venv "$place"
"$place/bin/python" -m pip --quiet --disable-pip-version-check install uv

compile() {
    "$place/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-annotate pyproject.toml "$@"
}
compile --output-file requirements.txt "$@"
# Each lock must agree with the smaller one, so that one environment can hold both.
compile --group dev --constraint requirements.txt --output-file requirements-dev.txt "$@"
compile --group ci --constraint requirements-dev.txt --output-file requirements-ci.txt "$@"
