"""Refuses statements that reach beyond the databases. It inspects the syntax tree of the engine's parser. Pure.

The engine's grants (clickhouse_access) keep callers from files, hosts and server commands. They do not cover INFILE and
OUTFILE, which the engine runs as a client, nor a few functions, nor disks that a statement describes. So the tree of
each statement is inspected: its kind, table functions and table engines must be on a list, and nothing else that
reaches out may occur. What is on no list is refused, also what a later version of the engine adds.
"""

from collections.abc import Iterator, Mapping
from typing import Any

STATEMENTS = frozenset(
    {
        *("SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "InsertQuery", "ExplainQuery"),
        *("CreateQuery", "CreateIndexQuery", "AlterQuery", "DropQuery", "DropIndexQuery", "RenameQuery"),
        *("DeleteQuery", "UpdateQuery", "OptimizeQuery", "CheckTableQuery", "KillQueryQuery", "SetQuery", "UseQuery"),
        *("ShowTablesQuery", "ShowColumnsQuery", "ShowIndexesQuery"),
    }
)
TABLE_FUNCTIONS = frozenset(
    {
        *("numbers", "numbers_mt", "zeros", "zeros_mt", "generate_series", "generateseries", "primes", "one"),
        *("view", "viewifpermitted", "viewexplain", "merge", "loop", "dictionary"),
        *("mergetreeindex", "mergetreeprojection", "mergetreeanalyzeindexes", "mergetreetextindex"),
    }
)
TABLE_ENGINES = frozenset(
    {
        *(f"{kind}MergeTree" for kind in ("", "Replacing", "Summing", "Aggregating", "Collapsing", "Coalescing")),
        *("VersionedCollapsingMergeTree", "Memory", "Null", "Set", "Join", "Buffer", "Merge"),
        *("Log", "TinyLog", "StripeLog"),
    }
)
DATABASE_ENGINES = frozenset({"Atomic", "Memory"})
_FUNCTION_KINDS = frozenset(
    {"TABLE_ENGINE", "DATABASE_ENGINE", "WINDOW_FUNCTION", "LAMBDA_FUNCTION", "CODEC", "STATISTICS"}
)

FILE_FUNCTIONS = frozenset({"file", "structureToCapnProtoSchema", "structureToProtobufSchema"})
"""Scalar functions that read a file, or evaluate SQL from a text. They may occur wherever a column may."""

# Nodes of statements for which the engine has no JSON tree. They are safe if they have only names.
_NAMED_ONLY = (
    *("DescribeQuery", "TableExpression", "TableIdentifier", "Identifier", "Exists", "UndropQuery"),
    *("ShowCreateTableQuery", "ShowCreateViewQuery", "ShowCreateDatabaseQuery"),
    *("ShowProcesslistQuery", "ShowFunctions", "ShowEngineQuery"),
)


def unsafe_parameters(parameters: Mapping[str, str]) -> frozenset[str]:
    """The query parameters whose value names a function of FILE_FUNCTIONS, or may do so when unescaped."""
    return frozenset(name for name, value in parameters.items() if value in FILE_FUNCTIONS or "\\" in value)


def refusal(
    tree: Any, unsafe: frozenset[str] = frozenset(), own_file: str | None = None, *, reads_only: bool = False
) -> str | None:
    """Why a statement may not run; None if it may.

    `tree` is its JSON tree. `unsafe` are parameters that may not be used as a name in it. `own_file` is the path that
    this server itself has put into it.
    """
    kind = tree.get("type")
    if kind not in STATEMENTS:
        return f"{kind} is not available"
    # The setting `readonly` of the engine refuses everything else that changes something.
    if reads_only and kind == "KillQueryQuery":
        return f"{kind} is not available where nothing may be changed"
    return next(filter(None, (_refusal_of(key, node, unsafe, own_file) for key, node in _nodes("", tree))), None)


def refusal_of_names(tree: str) -> str | None:
    """The same for a statement that has only a tree as text: it may have names only."""
    for line in tree.splitlines():
        if not line.strip().startswith(_NAMED_ONLY):
            return f"this statement takes names alone, without {line.split()[0] if line.split() else 'more'}"
    return None


def _nodes(key: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the tree, with the name of its member."""
    waiting = [(key, value)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            yield key, value
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend((key, each) for each in value)


def _refusal_of(key: str, node: dict[str, Any], unsafe: frozenset[str], own_file: str | None) -> str | None:
    name = str(node.get("name"))
    match node.get("type"):
        case "Function" if key.endswith("table_function"):
            if name.lower() not in TABLE_FUNCTIONS:
                return f"the table function {name} is not available"
        case "Function" if kind := node.get("kind"):
            listed = {"TABLE_ENGINE": TABLE_ENGINES, "DATABASE_ENGINE": DATABASE_ENGINES}.get(kind)
            if kind not in _FUNCTION_KINDS or (listed is not None and name not in listed):
                return f"the engine {name} is not available"
        case "ColumnsApplyTransformer":
            name = str(node.get("func_name"))
        case "QueryParameter":
            if name in unsafe and "Identifier" in str(node.get("param_type")):
                return f"the parameter {name} as a name is not available"
    if name in FILE_FUNCTIONS and node.get("type") != "TableIdentifier":
        return f"the function {name} is not available; a column of this name needs its table's name before it"
    for clause, where in (("infile", "FROM INFILE"), ("out_file", "INTO OUTFILE")):
        if clause in node and (own_file is None or node[clause].get("value", {}).get("value") != own_file):
            return f"{where} is not available"
    if node.get("has_attach_from_path"):
        return "ATTACH … FROM is not available"
    if node.get("field_type") == "CustomType":
        return "a disk that a statement describes is not available"
    return None
