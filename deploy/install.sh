#!/bin/sh
# Makes .venv and installs one pinned set into it: runtime, embedded or dev (see requirements/).
# uv does the work in seconds; where it cannot reach the package index that pip is set up for, pip does it.
# Both compile what they install: where PYTHONDONTWRITEBYTECODE is set, as in many images, each start would do it again,
# and a worker takes 1.9 s of CPU to import all it needs instead of 0.8.
set -eu
set_name="$1"
cd "$(dirname "$0")/.."

python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "feedback: Python 3.11 or newer is needed; $("$python" --version) found. Set PYTHON=/path/to/python3.11." >&2
  exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
.venv/bin/uv pip install -q --compile-bytecode --python .venv/bin/python --require-hashes -r "requirements/$set_name.txt" ||
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "requirements/$set_name.txt"
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
if [ "$set_name" = dev ]; then
  .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e clients/python
fi
.venv/bin/python -m compileall -q schemas runtime ingest_api stream_workers query_api dashboard gateway operations deploy
