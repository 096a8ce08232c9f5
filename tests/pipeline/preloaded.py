"""Imports our programs and what they import later, and runs none: the process that has done so is what tests fork."""

import gc
import sys
from importlib import import_module

_PROGRAMS = (
    "deploy.api",
    "ingest_api.__main__",
    "gateway.__main__",
    "stream_workers.__main__",
    "stream_workers.rollup.app",
)
_IMPORTED_LATER = (
    *("fastapi.openapi.utils", "jinja2", "uvloop", "httpx", "clickhouse_connect.driver.asyncclient", "faust.app.base"),
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
)

gc.disable()
for _module in (*_IMPORTED_LATER, *_PROGRAMS):
    import_module(_module)
for _module in _PROGRAMS:
    del sys.modules[_module]  # a fork imports the program that it runs by itself, as its main module
gc.freeze()
gc.enable()
