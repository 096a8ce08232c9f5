"""Quotients of decimals with nine places, in SQL and in Python: rounded once, as plain Python rounds a fraction.

A decimal that becomes a float before it is divided is rounded twice, and −0.3 ÷ 0.8 is then a little more than −0.375.
"""

from decimal import Decimal


def quotient(total: str, divisor: str) -> str:
    """The quotient of two expressions as a Float64; the divisor is a decimal or a whole number, and not 0."""
    return f"toFloat64({_billionths(total)}) / toFloat64({_billionths(divisor)})"


def quotient_of(total: Decimal, divisor: Decimal | int) -> float:
    """The same number, of what was read. To plan the expression takes ClickHouse longer than to read a few rows."""
    return float(_whole(total)) / float(_whole(divisor))


def float_of(number: Decimal) -> float:
    """What ClickHouse's toFloat64 makes of a decimal with nine places."""
    return quotient_of(number, 1)


def _whole(number: Decimal | int) -> int:
    return int(Decimal(number).scaleb(9))


def _billionths(number: str) -> str:
    return f"toInt128(({number}) * 1000000000)"
