#!/bin/sh
# Makes .venv and installs one pinned set into it: runtime, embedded or dev (see requirements/).
# uv does the work in seconds; where it cannot reach the package index that pip is set up for, pip does it.
# Both compile what the programs import: where PYTHONDONTWRITEBYTECODE is set, as in many images, each start would do it
# again, and a worker takes 1.9 s of CPU to import all it needs instead of 0.8. Of what only tests import, which is
# three quarters of all files, most is never used: Python compiles the rest where it is first imported.
set -eu
set_name="$1"
cd "$(dirname "$0")/.."

python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "feedback: Python 3.11 or newer is needed; $("$python" --version) found. Set PYTHON=/path/to/python3.11." >&2
  exit 1
}
by_pip() { .venv/bin/python -m pip install -q --disable-pip-version-check "$@"; }
by_uv() { .venv/bin/uv pip install -q --python .venv/bin/python "$@"; }

[ -x .venv/bin/python ] || "$python" -m venv .venv
by_pip --require-hashes -r requirements/uv.txt
if [ "$set_name" = dev ]; then
  { by_uv --compile-bytecode --require-hashes -r requirements/embedded.txt &&
    by_uv --require-hashes -r requirements/dev.txt; } || by_pip --require-hashes -r requirements/dev.txt
  set -- -e . -e clients/python
else
  by_uv --compile-bytecode --require-hashes -r "requirements/$set_name.txt" ||
    by_pip --require-hashes -r "requirements/$set_name.txt"
  set -- -e .
fi
by_uv --no-deps --no-build-isolation "$@" || by_pip --no-deps --no-build-isolation "$@"
.venv/bin/python -m compileall -q schemas runtime ingest_api stream_workers query_api dashboard gateway operations deploy
