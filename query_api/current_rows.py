"""Which of several rows of one feedback or request is current: SQL for what FINAL keeps, where FINAL would read too
much.

A row's place never changes, the highest version in it counts, and of rows under one version the one that was stored
last: ClickHouse numbers the blocks of a partition as they are stored.
"""

PLACE = "home_environment, home_organisation, home_prompt, home_user, created_at, feedback_id"
"""Columns that tell rows of feedback.feedback_rows apart within a workspace."""

RANK = "(version, _block_number)"
"""The current row of a place has the highest."""

RANK_OF_REQUESTS = "(l.sequence, l._block_number)"
"""The current row of a request in feedback.request_log_rows, which is called l, has the highest."""
