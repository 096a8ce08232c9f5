"""Exports of request logs, with the feedback of their traces, and of feedback: ordered, run, watched and downloaded.

The process that is told to start an export runs it: ClickHouse filters, joins and formats, and what it sends goes chunk
by chunk into a file below FEEDBACK_EXPORT_DIR. Whether it runs, ended or died is told from facts in ClickHouse, so that
any process can answer, and any that sees the same folder can hand out the file.
"""
