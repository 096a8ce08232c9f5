"""What a comparison finds, and looking twice, so that work that is under way is not taken for a fault."""

from collections.abc import Callable
from dataclasses import dataclass, field

from clickhouse_connect.driver.client import Client

Pause = Callable[[float], None]


@dataclass
class Difference:
    """One kind of difference: where, how many, and the keys of a few."""

    what: str
    keys: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        shown = ", ".join(self.keys[:3]) + (", …" if len(self.keys) > 3 else "")
        return f"{len(self.keys):>9,}  {self.what}: {shown}"


def lasting(client: Client, what: str, query: str, pause: Pause) -> Difference:
    """What the query finds, if it finds it again after a pause."""

    def keys() -> set[str]:
        return {str(row[0]) for row in client.query(query).result_rows}

    found = keys()
    if found:
        pause(2)
        found &= keys()
    return Difference(what, sorted(found))
