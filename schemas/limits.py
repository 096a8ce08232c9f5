"""The limits of what callers send: the parsers of the edge, the workers and the schema files all use them."""

LOWEST_VALUE, HIGHEST_VALUE = -10, 10
LOWEST_WEIGHT, HIGHEST_WEIGHT = 0, 1
WEIGHT_DECIMALS = 9

MOST_SPECIAL_CHARS = 512
"""The longest text of a special metadata field."""
MOST_ENVIRONMENT_CHARS = 64
"""The longest environment that the edge can be set to know."""
MOST_COMMENT_CHARS = 4000
"""The longest comment of a vote."""
MOST_KEY_CHARS = 255
"""The longest Idempotency-Key."""
MOST_TRACE_ID_CHARS = 4096
"""The highest limit to which the length of trace ids can be set."""

WORKSPACE_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
"""The name of a workspace."""

HIGHEST_STATUS = 65_535
HIGHEST_AMOUNT = 1e15
"""The largest cost and response time: sums of many are still finite numbers."""
HIGHEST_TOKENS = 2**53 - 1
"""The largest count of tokens: the largest integer that is exact in a JSON reader with doubles only."""

FIRST_YEAR, LAST_YEAR = 2000, 2099
"""Every time that is sent or recorded is in one of these years."""
