"""SQL for quotients of decimals with nine places: rounded once, as plain Python rounds a fraction of the same numbers.

A decimal that becomes a float before it is divided is rounded twice, and −0.3 ÷ 0.8 is then a little more than −0.375.
"""


def quotient(total: str, divisor: str) -> str:
    """The quotient of two expressions as a Float64; the divisor is a decimal or a whole number, and not 0."""
    return f"toFloat64({_billionths(total)}) / toFloat64({_billionths(divisor)})"


def _billionths(number: str) -> str:
    return f"toInt128(({number}) * 1000000000)"
