#!/bin/sh
# Makes a virtual environment of its own in FOLDER, with the pinned packages of a file: own_venv.sh FOLDER REQUIREMENTS.
# uv, if .venv has it and it reaches the package index, takes a tenth of the CPU that pip takes.
set -eu
folder="$1" requirements="$2"
[ -x .venv/bin/python ] && python=.venv/bin/python || python="${PYTHON:-python3}"

if [ -x .venv/bin/uv ] && .venv/bin/uv venv -q --clear --python "$python" "$folder" &&
  .venv/bin/uv pip install -q --python "$folder/bin/python" --require-hashes -r "$requirements"; then
  exit
fi
"$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$requirements"
