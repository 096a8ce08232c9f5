"""Small faults put into the code on purpose, each with the test that must find it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One fault: in `file`, the text `before` becomes `after`, and the promise is no longer kept.

    `test` is the pytest id of the test that must fail then. `before` stands in the file exactly once.
    """

    promise: str
    file: str
    before: str
    after: str
    test: str


REPLAY = "tests/unit/stream_workers/test_replay.py::test_whatever_crashes_the_end_equals_a_plain_model"
KEYS_OF_TWO_WORKERS = (
    "tests/unit/stream_workers/test_replay.py::test_a_key_is_one_calls_however_many_workers_meet_it_at_once"
)

UNFINISHED = (
    "tests/pipeline/stream_workers/test_unfinished_batches.py"
    "::test_after_any_kill_the_traces_of_the_last_batch_are_found_and_their_events_make_them_whole"
)
A_REQUEST_MORE = (
    "tests/pipeline/stream_workers/test_unfinished_batches.py"
    "::test_a_request_of_which_the_numbers_of_its_trace_do_not_know_is_found"
)

RESENT = (
    "tests/pipeline/stream_workers/test_replay_clickhouse.py"
    "::test_a_request_that_is_sent_again_keeps_one_row_and_its_later_entries_alone"
)

KEPT_DAYS = (
    "tests/pipeline/query_api/test_request_days.py"
    "::test_an_answer_is_that_of_the_rows_whatever_happens_after_a_day_is_kept"
)

MUTANTS = (
    Mutant(
        "the row of a request is stored before its entry in the journal",
        "stream_workers/io/clickhouse_sink.py",
        "({_FIRST}, {_SECOND}, tables",
        "({_SECOND}, {_FIRST}, tables",
        UNFINISHED,
    ),
    Mutant(
        "an aggregate is stored after the feedback of its trace",
        "stream_workers/io/clickhouse_sink.py",
        "tables.keys() - {_FIRST, _SECOND, _LAST}, {_LAST})",
        "{_LAST}, tables.keys() - {_FIRST, _SECOND, _LAST})",
        UNFINISHED,
    ),
    Mutant(
        "an invalidation writes the feedback of its traces again",
        "stream_workers/join/trace_join.py",
        """                self._mark_changed(trace, incoming)
                self._rewritten[id(trace)] = trace
        if bucket.expiry""",
        """                self._mark_changed(trace, incoming)
        if bucket.expiry""",
        UNFINISHED,
    ),
    Mutant(
        "of a batch that is stored in part, the traces with a request more are found too",
        "operations/unfinished_batches.py",
        'newest < last OR counted < known\n"""',
        'newest < last\n"""',
        A_REQUEST_MORE,
    ),
    Mutant(
        "nothing is committed before it is stored and published",
        "stream_workers/batches/stage_pipeline.py",
        """            await self._processor.complete(joined)
            self._acknowledge(batch)
""",
        """            self._acknowledge(batch)
            await self._processor.complete(joined)
""",
        "tests/unit/stream_workers/test_stage_pipeline.py::test_when_a_batch_fails_for_good_no_later_one_is_stored",
    ),
    Mutant(
        "an offset is committed only after all before it",
        "stream_workers/batches/offset_progress.py",
        "self.committable is None or part.follows > self.committable",
        "False",
        "tests/unit/stream_workers/test_offset_progress.py::test_acknowledging_past_an_unacknowledged_batch_is_refused",
    ),
    Mutant(
        "what was read under an earlier assignment is handled under no later one",
        "stream_workers/batches/offset_progress.py",
        """        self.partitions.clear()
        self.gathered = {}
""",
        """        self.partitions.clear()
""",
        "tests/unit/stream_workers/test_offset_progress.py::test_records_read_under_an_earlier_assignment_are_in_no_batch",
    ),
    Mutant(
        "what was known under one assignment is not used under the next",
        "stream_workers/batches/processor.py",
        """            self._assignment = batch.assignment
            self.clear_states()
""",
        """            self._assignment = batch.assignment
""",
        "tests/unit/stream_workers/test_processor.py::test_a_state_cached_under_one_assignment_is_read_again_under_the_next",
    ),
    Mutant(
        "what was decided and is not yet stored is seen by what is decided next",
        "stream_workers/batches/processor.py",
        "cached = cached | self._latest_states_of(hashes - read_anew)",
        "cached = dict(cached)",
        REPLAY,
    ),
    Mutant(
        "an edit that is read again undoes no later one",
        "stream_workers/join/feedback.py",
        "if event.value is not None and sequence > edits.value_by:",
        "if event.value is not None:",
        REPLAY,
    ),
    Mutant(
        "a row's version tells every state from every other",
        "stream_workers/join/snapshots.py",
        "return sequence << 16 | (requests if requests < MOST_REQUESTS else MOST_REQUESTS)",
        "return sequence << 16",
        REPLAY,
    ),
    Mutant(
        "what a request changed is written again after a crash",
        "stream_workers/join/trace_join.py",
        "rewrite = True  # a replay",
        "rewrite = False  # a replay",
        REPLAY,
    ),
    Mutant(
        "a key is one call's, however many workers meet it at once",
        "stream_workers/batches/processor.py",
        "owners |= {claim: digest_of(event) for claim, event in unclaimed.items()} | found",
        "owners |= {claim: digest_of(event) for claim, event in unclaimed.items()}",
        KEYS_OF_TWO_WORKERS,
    ),
    Mutant(
        "an id of another workspace is unknown",
        "stream_workers/join/trace_state.py",
        "if trace.workspace == workspace and (held := trace.find(feedback_id)):",
        "if held := trace.find(feedback_id):",
        REPLAY,
    ),
    Mutant(
        "a trace that has come alive again is not removed",
        "stream_workers/join/trace_state.py",
        "if not any(event.feedback_before <= each < at for each in changes)), default=None",
        "), default=None",
        REPLAY,
    ),
    Mutant(
        "nobody can tell where a consumer batch was cut",
        "stream_workers/batches/process_batch.py",
        "if number is None:",
        "if number is None or len(found[number]) >= 2:",
        "tests/unit/stream_workers/test_process_batch.py::test_a_trace_is_whole_in_its_chunk_and_in_order",
    ),
    Mutant(
        "the requests of a trace say the same in whatever order they come",
        "stream_workers/join/request_facts.py",
        "((first := earliest[i]) is None or at < first)",
        "((first := earliest[i]) is None or at != first)",
        REPLAY,
    ),
    Mutant(
        "an update reaches the partition of its create",
        "schemas/ids.py",
        "return (trace_hash & 0x7FFFFFFF) % partitions",
        "return trace_hash % partitions",
        "tests/unit/schemas/test_schemas.py::test_an_update_that_knows_only_the_id_reaches_the_partition_of_its_create",
    ),
    Mutant(
        "a server that was closed stays closed, whatever is lost",
        "runtime/api_key_store.py",
        "closed = self._unreadable or bool(self._closing) or recorded",
        "closed = self._unreadable or bool(self._closing)",
        "tests/unit/runtime/test_closed_server.py::test_closed_anywhere_is_closed_and_open_is_only_what_was_read_everywhere",
    ),
    Mutant(
        "nobody is let in before every place of keys has been read",
        "runtime/api_key_store.py",
        "return not self.is_closed and not self.unread",
        "return not self.is_closed",
        "tests/unit/runtime/test_closed_server.py::test_closed_anywhere_is_closed_and_open_is_only_what_was_read_everywhere",
    ),
    Mutant(
        "a call with the first key is never taken for one of everybody",
        "runtime/api_key_authentication.py",
        "if given is not None and store.get(given.key_id) is None:",
        "if False:",
        "tests/unit/schemas/test_api_keys.py::test_a_call_with_the_first_key_is_never_taken_for_one_of_everybody",
    ),
    Mutant(
        "a foreign page can do nothing while there is no key",
        "runtime/request_origin.py",
        "if parsed_origin(origin) not in own:",
        "if origin == b'null':",
        "tests/unit/runtime/test_request_origin.py::test_a_page_of_another_origin_may_not",
    ),
    Mutant(
        "of a header that is not known to be harmless only the name is stored",
        "ingest_api/validation/redaction.py",
        "kept = value if harmless.has_header(name) and _is_plain(value) else REDACTED",
        "kept = value if harmless.has_header(name) else REDACTED",
        "tests/unit/ingest_api/test_redaction.py::test_no_shape_of_headers_brings_a_value_in_under_a_name_that_is_not_known",
    ),
    Mutant(
        "no body of protobuf holds more messages than may be read",
        "ingest_api/otlp/message_count.py",
        "            tag = body[at]\n            at += 1\n            if tag >= _MORE:\n",
        "            tag = body[at]\n            at += 1\n            if tag > 0x100:\n",
        "tests/unit/ingest_api/test_message_count.py::test_more_than_the_most_are_refused_wherever_they_are",
    ),
    Mutant(
        "what the items of a call share counts with each of them",
        "ingest_api/validation/shared_data.py",
        "        self._left -= size\n",
        "        self._left -= 0\n",
        "tests/unit/ingest_api/test_shared_data.py::test_spans_beyond_the_room_are_rejected_and_the_others_stored",
    ),
    Mutant(
        "JSON that was cut off brings no secret in",
        "ingest_api/validation/text_redaction.py",
        'if text.lstrip()[:1] in ("{", "[") and',
        'if text.lstrip()[:1] == "[" and',
        "tests/unit/ingest_api/test_otlp_spans.py::test_secrets_in_any_attribute_are_redacted_in_metadata_too",
    ),
    Mutant(
        "over time no more events pass than a key's limit allows",
        "runtime/rate_limit.py",
        "        self._tokens -= events\n",
        "        self._tokens = max(0, self._tokens - events)\n",
        "tests/unit/runtime/test_rate_limit.py::test_over_time_no_more_events_pass_than_the_limit_allows_and_one_call_more",
    ),
    Mutant(
        "a fault that will not pass ends the worker",
        "stream_workers/io/retry.py",
        "if unforeseen == MOST_UNFORESEEN:",
        "if unforeseen == -1:",
        "tests/unit/stream_workers/test_retry.py::test_an_error_that_is_not_temporary_is_logged_whole_and_raised_after_a_few_tries",
    ),
    Mutant(
        "a dead letter is judged by its event and undoes no later one",
        "operations/dead_letters/guard.py",
        "return None if changes_nothing else event.feedback_id",
        "return None if b'create' in letter.value else event.feedback_id",
        "tests/unit/operations/test_dead_letter_guard.py::test_what_may_change_its_feedback_is_known_as_that",
    ),
    Mutant(
        "a request that is sent again keeps no row of its removed trace",
        "operations/expire/statements.py",
        " OR max(stored.sequence) >= before\n",
        "\n",
        RESENT,
    ),
    Mutant(
        "a request that was read again before the removal of its trace keeps its only row",
        "operations/expire/statements.py",
        "HAVING NOT any(is_sent_later) OR max(stored.sequence) >= before",
        "",
        RESENT,
    ),
    Mutant(
        "a trace that is only called like one of the demo is none of it",
        "deploy/demo/trace_ids.py",
        "found is not None and found[1] == _check(trace_id[:-_CHECK_CHARS])",
        "found is not None",
        "tests/unit/deploy/test_demo.py::test_a_trace_id_of_the_demo_says_so_and_no_other_does",
    ),
    Mutant(
        "a bad release is seen in what people say",
        "deploy/demo/conversations.py",
        "(_QUALITY_LOST if self._is_bad else 0)",
        "0",
        "tests/unit/deploy/test_demo.py::test_the_bad_release_fails_is_slow_and_is_disliked_in_production_alone",
    ),
    Mutant(
        "the next page of a sorted list begins after the last row, also among rows of one number",
        "query_api/reading/request_order.py",
        """        f" OR ({number} = {{place_number:Float64}} AND {older.text})",
""",
        """        f" OR false AND {older.text}",
""",
        "tests/pipeline/query_api/test_request_order.py"
        "::test_requests_are_listed_in_each_order_as_plain_python_sorts_them",
    ),
    Mutant(
        "days on /requests begin in the viewer's zone",
        "dashboard/requests_page.py",
        'over_time = [*asked, ("time_zone", zone_of(request)), ',
        "over_time = [*asked, ",
        "tests/pipeline/dashboard/test_numbers.py"
        "::test_days_of_requests_begin_in_the_viewers_zone_also_if_clocks_change",
    ),
    Mutant(
        "feedback that a form sends again counts once",
        "dashboard/feedback_forms.py",
        "[form[ONCE], body]",
        "[form[ONCE], time.time(), body]",
        "tests/unit/dashboard/test_feedback_forms.py"
        "::test_the_same_words_of_a_form_are_one_feedback_and_others_are_another",
    ),
    Mutant(
        "a form that was refused stays with what was typed",
        "dashboard/pages.py",
        "if _keeps_form(request) and not is_needless:",
        "if not _keeps_form(request) and not is_needless:",
        "tests/unit/dashboard/test_refused_key.py::test_who_sends_a_form_keeps_it_and_is_told_where_to_sign_in",
    ),
    Mutant(
        "a file holds what the page shows and no more",
        "dashboard/export_order.py",
        "for name, value in query.for_api(now):",
        "for name, value in query.for_api(now)[:2]:",
        "tests/unit/dashboard/test_exports.py::test_an_order_has_the_filters_of_the_list_beside_it",
    ),
    Mutant(
        "an export that cannot be started is left nowhere",
        "dashboard/exports_page.py",
        'await viewer.api.send("DELETE", f"{_API}/{export_id}")',
        "pass",
        "tests/unit/dashboard/test_exports.py::test_a_refusal_is_told_and_leaves_no_export",
    ),
    Mutant(
        "a page of another site gets nothing from a dashboard of its own",
        "dashboard/pages.py",
        "if not viewer.is_signed_in and (refused := self._foreign(request)):",
        "if viewer.is_signed_in and (refused := self._foreign(request)):",
        "tests/unit/dashboard/test_standalone.py::test_a_page_of_another_site_gets_nothing_while_no_key_is_asked_for",
    ),
    Mutant(
        "what changes a list leads to its beginning",
        "dashboard/page_query.py",
        "if each[0] not in PLACE)).beside(**changes)",
        ")).beside(**changes)",
        "tests/unit/dashboard/test_page_query.py::test_what_changes_a_list_leads_to_its_beginning_with_nothing_open",
    ),
    Mutant(
        "a choice of filters is marked where all of it is set",
        "dashboard/page_query.py",
        'return all(self.get(name) == (value or "")',
        'return any(self.get(name) == (value or "")',
        "tests/unit/dashboard/test_page_query.py::test_a_choice_is_marked_where_all_its_filters_are_set_and_no_other_of_them",
    ),
    Mutant(
        "a client repeats a call under the key that it came with",
        "clients/python/feedback_client/sender.py",
        "posts.post(part[0].path, body, key)",
        "posts.post(part[0].path, body, str(uuid.uuid4()))",
        "tests/clients/test_sending.py::test_a_call_is_repeated_under_its_key_until_it_is_taken_and_is_stored_once",
    ),
    Mutant(
        "a client waits as long as the server asks",
        "clients/python/feedback_client/answers.py",
        "max(answer.retry_after_s, 0.0) + ",
        "",
        "tests/clients/test_sending.py::test_a_call_is_repeated_under_its_key_until_it_is_taken_and_is_stored_once",
    ),
    Mutant(
        "what a client is refused takes nothing else along",
        "clients/python/feedback_client/sender.py",
        "parts += [part[half:], part[:half]]",
        "self._queue.settle(part, refused=True)",
        "tests/clients/test_sending.py::test_what_is_refused_takes_nothing_else_along",
    ),
    Mutant(
        "a client holds no more bytes than it may",
        "clients/python/feedback_client/send_queue.py",
        " or self._held_bytes + len(item.body) > self._max_bytes",
        "",
        "tests/clients/test_sending.py::test_a_full_queue_drops_the_newest_and_says_so_once",
    ),
    Mutant(
        "a forked child does not send what its parent queued",
        "clients/python/feedback_client/client.py",
        "    os.register_at_fork(after_in_child=_begin_all)",
        "    pass",
        "tests/clients/test_processes.py::test_a_forked_child_sends_its_own_and_the_parent_keeps_its_items",
    ),
    Mutant(
        "what a client has queued is sent when the process ends",
        "clients/python/feedback_client/client.py",
        "atexit.register(_close_all)",
        "",
        "tests/clients/test_processes.py::test_what_is_queued_is_sent_when_the_process_ends",
    ),
    Mutant(
        "what a client has queued is sent before an ASGI server ends",
        "clients/python/feedback_client/asgi.py",
        "await asyncio.to_thread(flush_all, self._shutdown_timeout_s)",
        "pass",
        "tests/clients/test_trace.py::test_asgi_sends_what_is_queued_before_the_server_ends",
    ),
    Mutant(
        "a client accepts nothing that is nested too deep for the server",
        "clients/python/feedback_client/storable.py",
        "if nested and depth == levels:",
        "if nested and depth > levels:",
        "tests/clients/test_items.py::test_a_feedback_that_the_client_accepts_the_server_accepts",
    ),
    Mutant(
        "no credential in a URL is logged",
        "clients/python/feedback_client/model_calls.py",
        'parts.netloc.rpartition("@")[2], parts.path, ""',
        "parts.netloc, parts.path, parts.query",
        "tests/clients/test_hooks.py::test_a_call_is_logged_with_all_it_tells_and_no_credential",
    ),
    Mutant(
        "no text of an error is logged",
        "clients/python/feedback_client/model_calls.py",
        '{"error": {"type": name}}',
        '{"error": {"type": name, "text": str(error)}}',
        "tests/clients/test_hooks.py::test_errors_are_passed_on_as_they_are_and_logged",
    ),
    Mutant(
        "calls outside of any trace share none",
        "clients/python/feedback_client/trace.py",
        "return _current.get() or Trace(new_trace_id())",
        "return current_trace()",
        "tests/clients/test_hooks.py::test_calls_outside_of_any_trace_are_traces_of_their_own",
    ),
    Mutant(
        "a stream of WSGI is made within its request's trace",
        "clients/python/feedback_client/wsgi.py",
        "return self._context.run(next, self._parts)",
        "return next(self._parts)",
        "tests/clients/test_trace.py::test_wsgi_gives_the_trace_id_to_the_handler_its_stream_and_the_caller",
    ),
    Mutant(
        "a call reaches no server that is not allowed",
        "gateway/upstreams.py",
        "if each.place == wanted.place and each.path in",
        "if each.host.endswith(wanted.host[-6:]) and each.path in",
        "tests/unit/gateway/test_upstreams.py::test_any_other_address_is_forbidden",
    ),
    Mutant(
        "the key of this API stays with it",
        "gateway/passed_headers.py",
        "if name not in dropped and not name.startswith(_OWN)",
        "if name not in dropped",
        "tests/pipeline/gateway/test_passing.py::test_the_upstream_sees_the_request_of_a_direct_call_but_for_what_is_the_gateways",
    ),
    Mutant(
        "the session of the dashboard stays with the gateway",
        "gateway/passed_headers.py",
        "    kept = [each for each in members if _name_of(each) != _SESSION]\n",
        "    kept = members\n",
        "tests/unit/gateway/test_passed_headers.py::test_the_session_of_the_dashboard_does_not_pass",
    ),
    Mutant(
        "no credential leaves the gateway with a log",
        "gateway/request_log.py",
        "if rules.harmless.has_header(name) else REDACTED",
        'if name != "authorization" else REDACTED',
        "tests/pipeline/gateway/test_passing.py::test_a_call_is_logged_with_what_its_headers_and_bodies_tell_and_no_credential",
    ),
    Mutant(
        "a half answer is a half one for the caller too",
        "gateway/forward.py",
        """        elif outcome is not CallOutcome.COMPLETE:
            self._break_off()
""",
        """        elif outcome is not CallOutcome.COMPLETE:
            await self._send({"type": "http.response.body", "body": b""})
""",
        "tests/pipeline/gateway/test_broken_calls.py::test_a_half_answer_is_a_half_one_for_the_caller_too",
    ),
    Mutant(
        "an upstream is let go of when the caller leaves",
        "gateway/forward.py",
        """            self._caller_left = True
            self._task.cancel()
""",
        """            self._caller_left = True
""",
        "tests/pipeline/gateway/test_broken_calls.py::test_a_caller_who_leaves_ends_the_call_at_the_upstream",
    ),
    Mutant(
        "calls that wait to be logged are bounded",
        "gateway/log_queue.py",
        "= Queue(most)",
        "= Queue()",
        "tests/unit/gateway/test_log_queue.py::test_what_finds_no_room_is_dropped_counted_and_let_go",
    ),
    Mutant(
        "repeating an export of spans stores nothing twice",
        "ingest_api/otlp/span_export.py",
        'f"{trace_id}/{span_id}", _OF_SPANS)',
        'f"{trace_id}/{span_id}/{call.now_ms}/{id(fields)}", _OF_SPANS)',
        "tests/unit/ingest_api/test_otlp_spans.py::test_the_id_of_a_request_is_made_from_trace_and_span",
    ),
    Mutant(
        "the score of an evaluation is never rounded unasked",
        "ingest_api/otlp/evaluation_scores.py",
        "score == int(score) and ",
        "",
        "tests/unit/ingest_api/test_otlp_evaluations.py::test_scores_become_values_by_their_scale",
    ),
    Mutant(
        "headers in attributes are redacted as all others are",
        "ingest_api/otlp/span_headers.py",
        "headers_without_secrets(found, harmless) if found else None",
        "found or None",
        "tests/unit/ingest_api/test_otlp_spans.py::test_each_name_of_an_attribute_leads_to_its_field",
    ),
    Mutant(
        "a compressed body unpacks to no more than the limit",
        "ingest_api/http/body_unpacking.py",
        "        if size > limit:",
        "        if size > 100 * limit:",
        "tests/unit/ingest_api/test_body_unpacking.py::test_a_body_of_the_limit_is_unpacked",
    ),
    Mutant(
        "no token is believed that its key has not signed",
        "schemas/vote_tokens.py",
        "return matches and key_hash is not None",
        "return key_hash is not None",
        "tests/unit/schemas/test_vote_tokens.py::test_no_byte_of_a_token_can_be_changed_added_or_left_out",
    ),
    Mutant(
        "a token ends with the key that made it",
        "ingest_api/access/vote_access.py",
        "if ended := how_ended(key, now_ms):",
        'if ended := "":',
        "tests/unit/ingest_api/test_votes.py::test_a_token_ends_with_the_key_that_made_it",
    ),
    Mutant(
        "a voter has one vote on a trace, whichever token it comes with",
        "ingest_api/validation/vote.py",
        "call.workspace, trace_id, claims.voter, name))",
        "call.workspace, trace_id, claims.voter + str(claims.expires_at), name))",
        "tests/unit/ingest_api/test_votes.py::test_a_second_vote_has_the_id_of_the_first_also_with_another_token_of_the_voter",
    ),
    Mutant(
        "a page of an origin that is not named stores nothing",
        "ingest_api/http/cross_origin.py",
        "if origin is not None and not is_named and headers",
        "if False and headers",
        "tests/unit/ingest_api/test_votes.py::test_a_page_of_any_other_origin_is_refused_and_stores_nothing",
    ),
    Mutant(
        "a vote that was taken back can be given again",
        "stream_workers/join/feedback.py",
        "(self.voted_by is None or self.deleted_by > self.voted_by)",
        "True",
        REPLAY,
    ),
    Mutant(
        "a later vote takes the place of the first as a whole",
        "stream_workers/join/feedback.py",
        "self.weight, edits.weight_by = billionths(event.weight), sequence",
        "edits.weight_by = sequence",
        REPLAY,
    ),
    Mutant(
        "the caller's own trace id comes before LiteLLM's",
        "ingest_api/validation/litellm_payload.py",
        """headers.get("x-portkey-trace-id") or payload.get("trace_id")""",
        """payload.get("trace_id") or headers.get("x-portkey-trace-id")""",
        "tests/unit/ingest_api/test_litellm_payload.py::test_a_call_becomes_a_request",
    ),
    Mutant(
        "requests lie in small granules",
        "deploy/clickhouse/0128_small_blocks.up.sql",
        "index_granularity = 1024",
        "index_granularity = 8192",
        "tests/pipeline/query_api/test_rows_read.py::test_a_trace_of_months_ago_is_found_by_keys",
    ),
    Mutant(
        "a day that is kept is computed anew once its requests have changed",
        "query_api/analytics/request_days.py",
        """changed["requests_block"] <= kept.requests_block""",
        "True",
        KEPT_DAYS,
    ),
    Mutant(
        "a day that is kept is computed anew once its feedback has changed",
        "query_api/analytics/request_days.py",
        """changed["traces_block"] <= kept.traces_block""",
        "True",
        KEPT_DAYS,
    ),
    Mutant(
        "a day that is kept is computed anew once rows were removed",
        "query_api/analytics/request_days.py",
        """kept.removal == now["removal"]""",
        "True",
        KEPT_DAYS,
    ),
    Mutant(
        "a trace of several days counts once",
        "query_api/analytics/day_keeper.py",
        "feedback > 0 AND t.first_day = day AND t.last_day = day AS is_alone",
        "feedback > 0 AND t.first_day = day AS is_alone",
        KEPT_DAYS,
    ),
    Mutant(
        "the last day of a trace's requests is that of the latest",
        "stream_workers/join/request_facts.py",
        "max(self.last_day, day)",
        "day",
        REPLAY,
    ),
    Mutant(
        "the models of a prompt are told by rows until they are rolled up",
        "query_api/analytics/sources.py",
        """any(each["lacks"] for each in found)""",
        "False",
        "tests/pipeline/query_api/test_analytics_http.py"
        "::test_until_prompts_are_rolled_up_by_model_rows_tell_their_models",
    ),
    Mutant(
        "feedback on several models counts under each model of its prompt",
        "stream_workers/rollup/statements.py",
        "of_models, of_models] AS sums",
        "of_models, of_feedback] AS sums",
        "tests/pipeline/stream_workers/test_rollups.py::test_rollups_equal_a_plain_model_however_late_some_are_written",
    ),
    Mutant(
        "hours without rollups by prompt and model are computed anew",
        "stream_workers/rollup/statements.py",
        "period = 'hour' AND dimension = 'prompt_model'",
        "period = 'hour' AND dimension = 'model'",
        "tests/pipeline/query_api/test_analytics_http.py"
        "::test_until_prompts_are_rolled_up_by_model_rows_tell_their_models",
    ),
    Mutant(
        "costs are added up as whole numbers",
        "query_api/analytics/request_measures.py",
        """COST_SUM = _whole_sum("cost", _COST_PLACES)""",
        """COST_SUM = f"toInt128(sum(ifNull(r.cost, 0)) * 1e{_COST_PLACES})" """,
        KEPT_DAYS,
    ),
    Mutant(
        "a history is asked for anew where a row tells of a later event",
        "query_api/reading/trace_feedback.py",
        """row["sequence"] <= events_of[row["id"]][-1].sequence""",
        "True",
        "tests/pipeline/query_api/test_trace_journal.py"
        "::test_what_came_after_the_look_into_the_journal_is_in_the_history_of_the_row_that_tells_it",
    ),
    Mutant(
        "a pair that may look like another is looked up in the row",
        "query_api/filters/metadata_conditions.py",
        "any(_BETWEEN in key + text for text in texts)",
        "False",
        "tests/unit/query_api/test_metadata_conditions.py::test_pairs_that_may_look_like_others_are_looked_up_as_well",
    ),
)
