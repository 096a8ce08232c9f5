"""The ASGI application that answers ClickHouse's HTTP interface over the embedded engine, one statement per request.

An answer is complete before its first byte is sent, so an error is always a status and never a broken stream. Only a
SELECT with wait_end_of_query=0 is sent while it runs (clickhouse_stream). There is one user, whose password
clickhouse_login checks; runtime.request_origin refuses web pages. clickhouse_statement reads a request,
clickhouse_engine runs it.
"""

import asyncio
import re
import time
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from deploy.embedded import clickhouse_codecs as codecs
from deploy.embedded.clickhouse_address import USER
from deploy.embedded.clickhouse_answers import Answer, BadRequestError, content_type, failure, text
from deploy.embedded.clickhouse_engine import Engine, StatementFailedError, summary_header
from deploy.embedded.clickhouse_login import refused_login
from deploy.embedded.clickhouse_statement import Statement, read_statement
from deploy.embedded.clickhouse_stream import Receive, Send, send_while_read, written_by
from runtime.client_left import result_unless_gone, until_gone
from runtime.request_origin import refusal

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

_COMPRESS_FROM_BYTES = 4096
_SEND_BYTES = 1 << 20
_READERS, _WRITERS = 8, 4
_KILL_AGAIN_S = 1.0
_NO_HEADER = re.compile(r"[^\x20-\x7e\x80-\xff]")


class ClickHouseHTTP:
    """The ASGI application over one open engine. Statements run in threads, never in the event loop."""

    def __init__(self, engine: Engine, password: str, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self._engine = engine
        self._password = password
        self._allowed_hosts = allowed_hosts
        self._running = 0
        # Two pools, so that slow SELECTs never delay the inserts of the workers.
        self._readers = ThreadPoolExecutor(_READERS, "clickhouse-read")
        self._writers = ThreadPoolExecutor(_WRITERS, "clickhouse-write")
        self._killers = ThreadPoolExecutor(1, "clickhouse-kill")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # Before the body is read, which may be large and from an unknown caller.
        if answer := self._refused(scope, headers) or _without_body(scope["path"]):
            return await _send(send, answer)
        chunks = await _chunks_of_body(receive)
        if isinstance(chunks, Answer):
            return await _send(send, chunks)
        if chunks is None:
            return None
        asked = await self._read(scope, headers, chunks)
        if isinstance(asked, Answer):
            await _send(send, asked)
        elif asked.streamed:
            await self._stream(asked, receive, send)
        else:
            pool = self._writers if asked.writes_rows else self._readers
            job = self._start(pool, self._execute, asked, headers.get("accept-encoding", ""))
            if answer := await self._answer_unless_gone(job, asked, receive):
                await _send(send, answer)

    def _refused(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> Answer | None:
        """The answer to a caller who may not use ClickHouse; None for others, and for /ping."""
        # A password does not keep web pages out: a browser that has it sends it with requests of any page.
        if refused := refusal(
            scope["headers"],
            scheme=scope["scheme"],
            http_version=scope["http_version"],
            allowed=self._allowed_hosts,
        ):
            return text(403, f"{refused.message}.\n")
        if scope["path"] == "/ping":
            return None
        return refused_login(headers, scope["query_string"], USER, self._password)

    async def _read(
        self, scope: MutableMapping[str, Any], headers: dict[str, str], chunks: list[bytes]
    ) -> Statement | Answer:
        """The statement of a request, or the answer if there is none to run."""
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return text(405, "Use GET to read and POST to write.\n")
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        run = asyncio.get_running_loop().run_in_executor
        try:
            if encoding := headers.get("content-encoding"):
                body = await run(self._readers, codecs.decode, body, encoding)
            statement = read_statement(scope["method"], scope["query_string"], headers, body)
        except BadRequestError as error:
            return failure(error.code, error.name, f"Code: {error.code}. DB::Exception: {error}. ({error.name})")
        except (codecs.CodecError, UnicodeDecodeError) as error:
            return failure(117, "INCORRECT_DATA", f"Code: 117. DB::Exception: {error}. (INCORRECT_DATA)")
        if not statement.sql.strip():
            return text(200, "Ok.\n")
        return statement

    def _start(
        self, pool: ThreadPoolExecutor, work: Callable[[*_Arguments], _T], *arguments: *_Arguments
    ) -> asyncio.Future[_T]:
        job = asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
        self._running += 1
        job.add_done_callback(self._finished)
        return job

    def _finished(self, _job: asyncio.Future[Any]) -> None:
        self._running -= 1

    async def _stream(self, statement: Statement, receive: Receive, send: Send) -> None:
        job: asyncio.Future[None] | None = None

        def write(pipe: Path) -> asyncio.Future[None]:
            nonlocal job
            job = self._start(self._readers, self._engine.run_into, statement, pipe)
            return job

        common = self._common_headers(statement)
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            async with written_by(self._engine.scratch, write, self._engine.kill_writing_into) as read:
                assert job is not None
                first = await result_unless_gone(gone, read())
                error = None if first or gone.done() else (await asyncio.wait([job]) and job.exception())
                if isinstance(error, StatementFailedError):
                    return await _send(send, failure(error.code, error.name, str(error), common))
                headers = _result_headers(statement, common)
                complete = not gone.done() and await send_while_read(read, first or b"", headers, gone, send)
            if complete:
                # If it raises, the answer has begun; the server then closes the connection before its end.
                job.result()
                await send({"type": "http.response.body", "body": b""})
        except OSError as error:
            if job is not None:
                raise
            failed = self._engine.failure_of(error)
            await _send(send, failure(failed.code, failed.name, str(failed), common))
        finally:
            gone.cancel()

    async def _answer_unless_gone(
        self, job: asyncio.Future[Answer], statement: Statement, receive: Receive
    ) -> Answer | None:
        """The answer of a statement. If its client leaves before, None, and a SELECT ends; others go on."""
        gone = asyncio.ensure_future(until_gone(receive))
        both: tuple[asyncio.Future[Any], ...] = (job, gone)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if job.done():
            return job.result()
        while not job.done() and not statement.writes_rows:
            self._start(self._killers, self._engine.kill, statement.mark)
            # It may wait for a thread, and then runs a moment later.
            await asyncio.wait([job], timeout=_KILL_AGAIN_S)
        return None

    def _common_headers(self, statement: Statement) -> dict[str, str]:
        return {
            "X-ClickHouse-Query-Id": statement.query_id,
            "X-ClickHouse-Timezone": statement.settings.get("session_timezone") or self._engine.timezone,
        }

    def _execute(self, statement: Statement, accept_encoding: str) -> Answer:
        started = time.perf_counter_ns()
        common = self._common_headers(statement)
        try:
            result = self._engine.run(statement)
        except StatementFailedError as error:
            return failure(error.code, error.name, str(error), common)
        summary = summary_header(result.summary, time.perf_counter_ns() - started)
        headers = {**_result_headers(statement, common), "X-ClickHouse-Summary": summary}
        encoding = None
        if statement.compress_answer and len(result.data) >= _COMPRESS_FROM_BYTES:
            encoding = codecs.choose(accept_encoding)
        if encoding is None:
            return Answer(200, headers, result.data, result)
        return Answer(200, {**headers, "Content-Encoding": encoding}, codecs.encode(result.data, encoding))

    @property
    def is_idle(self) -> bool:
        """Whether no statement is running, also none whose client has gone."""
        return self._running == 0


def _result_headers(statement: Statement, common: dict[str, str]) -> dict[str, str]:
    form = statement.output_format
    return {**common, "Content-Type": content_type(form), "X-ClickHouse-Format": form}


def _without_body(path: str) -> Answer | None:
    """The answer to a request that no body changes; None for a statement. Anybody may ask /ping."""
    if path in ("/ping", "/replicas_status"):
        return text(200, "Ok.\n")
    if path != "/":
        return text(404, f"There is nothing at {path}; statements go to / and health checks to /ping.\n")
    return None


async def _send(send: Send, answer: Answer) -> None:
    # A caller chooses the id of a statement and its time zone, which may have any characters.
    headers = [
        (name.lower().encode(), _NO_HEADER.sub("?", value).encode("latin-1")) for name, value in answer.headers.items()
    ]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    view = memoryview(answer.body)
    # In pieces, so that the transport never holds a second copy of a large answer.
    for start in range(0, max(len(view), 1), _SEND_BYTES):
        end = start + _SEND_BYTES
        await send({"type": "http.response.body", "body": bytes(view[start:end]), "more_body": end < len(view)})


async def _chunks_of_body(receive: Receive) -> list[bytes] | Answer | None:
    """The body in chunks, or the answer to a body that is too large, or None if the client has gone."""
    chunks: list[bytes] = []
    room = codecs.MOST_BODY_BYTES
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        room -= len(chunks[-1])
        if room < 0:
            return text(413, f"The body has more than {codecs.MOST_BODY_BYTES:,} bytes: send it in parts.\n")
        if not message.get("more_body"):
            return chunks
