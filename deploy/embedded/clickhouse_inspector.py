"""Parses each statement with the engine's parser before it runs, and has clickhouse_inspection check the tree.

It uses a separate connection, which no setting of a caller affects. The parser treats the statement as data, so nothing
of it runs here. It refuses a text with several statements, of which only the first would be inspected.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any

from deploy.embedded.clickhouse_inspection import refusal, refusal_of_names, unsafe_parameters

_MOST_REMEMBERED, _LONGEST_REMEMBERED = 2000, 16_384
_NOT_AS_JSON = "Code: 36. DB::Exception: AST node of type '"

Question = tuple[bytes, frozenset[str], str | None, bool]


class Inspector:
    """Checks statements, one at a time, and caches the results."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._found: dict[Question, str | None] = {}
        # The limit of its length applies when it runs.
        connection.query("SET max_query_size = 0", "Null")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def check(
        self, sql: bytes, parameters: Mapping[str, str], own_file: str | None = None, *, reads_only: bool = False
    ) -> None:
        """RuntimeError, in the words of the engine, if this statement may not run.

        `own_file` is the path of the only file that it may read or write by INFILE or OUTFILE.
        """
        question = (sql, unsafe_parameters(parameters), own_file, reads_only)
        with self._lock:
            if question in self._found:
                why = self._found[question]
            else:
                why = self._inspect(*question)
                if len(sql) <= _LONGEST_REMEMBERED:
                    self._found = self._found if len(self._found) < _MOST_REMEMBERED else {}
                    self._found[question] = why
        if why:
            raise RuntimeError(f"Code: 497. DB::Exception: {why} in the embedded engine. (ACCESS_DENIED)")

    def _inspect(self, sql: bytes, unsafe: frozenset[str], own_file: str | None, reads_only: bool) -> str | None:
        text = sql.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
        try:
            tree = self._connection.query(b"SELECT parseQueryToJSON('" + text + b"')", "TSVRaw").bytes()
        except RuntimeError as error:
            if _NOT_AS_JSON not in str(error)[: 2 * len(_NOT_AS_JSON)]:
                raise RuntimeError(_of_the_statement(str(error))) from None
            tree = self._connection.query(b"EXPLAIN AST " + sql, "TSVRaw").bytes().decode(errors="replace")
            return refusal_of_names(tree)
        return refusal(json.loads(tree.decode(errors="replace")), unsafe, own_file, reads_only=reads_only)


def _of_the_statement(error: str) -> str:
    """The message of the parser about a statement, without the statement that asked it."""
    message, found, _ = error.partition(": In scope SELECT parseQueryToJSON(")
    name = "(SYNTAX_ERROR)" if "Code: 62." in message else "(BAD_ARGUMENTS)"
    return f"{message}. {name}" if found else error
