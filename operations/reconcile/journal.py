"""Compares rows and aggregates with those computed from the journal, and repairs them.

Stored rows are read before the journal. They follow from entries that were in the journal by then, so a row without
entries is a fault at once, but a row that is behind the journal may only be late: differences are checked again. Each
check reads every table once, whatever it finds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from operations.progress import Progress
from operations.reconcile.differences import Pause, RowDifference, Scope
from operations.reconcile.hash_range import Fault, Place, faults_in
from operations.reconcile.lost_places import read_coverage
from operations.reconcile.snapshot import (
    AGGREGATES,
    FEEDBACK,
    StoredTable,
    new_snapshot,
    working_table,
)
from operations.reconcile.verdict import MISSING, UNKNOWN, WRONG, Row
from operations.removal import mutate

_FAULTS_AT_ONCE = 200_000
_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}
_COMPARED = (FEEDBACK, AGGREGATES)

Compare = Callable[[frozenset[int] | None], Iterator[dict[Place, Fault]]]
"""Takes the trace hashes to compare, or None for all, and yields the faults, range by range."""


def compare_with_journal(
    client: Client,
    scope: Scope,
    pause: Pause,
    progress: Progress,
    *,
    repair: bool,
    remove: bool,
) -> list[RowDifference]:
    """The differences. `repair` writes what is missing or wrong; `remove` also trusts the journal where it may have
    lost entries. Raises what the client raises.
    """
    kinds = (MISSING, WRONG, UNKNOWN)
    found = {(table, kind): RowDifference(f"{table.name} {kind}") for table in _COMPARED for kind in kinds}
    coverage = cache(lambda: read_coverage(client))

    def compare(hashes: frozenset[int] | None) -> Iterator[dict[Place, Fault]]:
        with new_snapshot(client, hashes) as snapshot:
            for table in _COMPARED:
                snapshot.fill(table, scope, progress)
            for hash_range in progress.track("rows and journal entries compared", snapshot.ranges()):
                yield faults_in(client, scope, snapshot, hash_range, coverage)

    for faults in stable_faults(compare, pause):
        repairs = {table: Repair(table) for table in _COMPARED}
        for (table, key), fault in faults:
            found[table, fault.verdict.kind].add([key])
            if repair and (remove or fault.verdict.kind != UNKNOWN):
                repairs[table].add(key, fault)
        for each in repairs.values():
            each.carry_out(client, progress)
    return list(found.values())


def stable_faults(compare: Compare, pause: Pause) -> Iterator[Iterator[tuple[Place, Fault]]]:
    """The faults that are still there, with the same fingerprint, after a pause; many at a time, but not all."""
    fingerprints: dict[Place, object] = {}
    hashes: set[int] = set()

    def still_there() -> Iterator[tuple[Place, Fault]]:
        pause()
        for faults in compare(frozenset(hashes)):
            for place, fault in faults.items():
                if place in fingerprints and fingerprints[place] == fault.fingerprint:
                    yield place, fault

    for faults in compare(None):
        fingerprints |= {place: fault.fingerprint for place, fault in faults.items()}
        hashes |= {fault.trace_hash for fault in faults.values()}
        if len(fingerprints) >= _FAULTS_AT_ONCE:
            yield still_there()
            fingerprints.clear()
            hashes.clear()
    if fingerprints:
        yield still_there()


@dataclass
class Repair:
    """The rows to write into one table, and those to remove from it."""

    table: StoredTable
    wanted: list[pa.Table] = field(default_factory=list)
    removed: list[tuple[int, str, Row]] = field(default_factory=list)

    def add(self, key: str, fault: Fault) -> None:
        if fault.verdict.writes and fault.wanted is not None:
            # A copy, because a slice would keep all rows of its range in memory.
            self.wanted.append(fault.wanted.take([0]))
        self.removed += [(fault.trace_hash, key, row) for row in fault.verdict.removed]

    def carry_out(self, client: Client, progress: Progress) -> None:
        """Write, remove, and write again. The first write keeps older rows from showing in between: of rows of one
        version the last counts. A merge may then drop it for a row of a higher version that is to be removed."""
        self._write(client)
        if self.removed:
            table, columns = self.table, ("h UInt32", "key String", "place UInt64", "version UInt64", "content UInt64")
            with working_table(client, ", ".join(columns), "h") as name:
                removed = [(trace_hash, key, *row) for trace_hash, key, row in self.removed]
                client.insert(name, removed, column_names=[each.split()[0] for each in columns], settings=_SETTINGS)
                condition = (
                    f"{table.hash} IN (SELECT h FROM {name}) AND ({table.key}, {table.place}, {table.version},"
                    f" {table.content}) IN (SELECT key, place, version, content FROM {name})"
                )
                mutate(client, {table.name: f"DELETE WHERE {condition}"}, {}, progress)
            self._write(client)

    def _write(self, client: Client) -> None:
        if self.wanted:
            rows = pa.concat_tables(self.wanted).combine_chunks()
            client.insert_arrow(f"feedback.{self.table.name}", rows, settings=_SETTINGS)
