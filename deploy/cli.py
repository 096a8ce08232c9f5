"""The `feedback` command: starts the programs, and runs the commands of an operator.

Each subcommand imports only what it runs, so that an edge needs no ClickHouse client and a worker no web server. If a
command cannot be carried out, it prints one sentence to stderr and exits with 1; a wrong command line exits with 2.
"""

import gc
import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit code."""
    _open_missing_streams()
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:  # also while modules are imported
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return _end_without_output(128 + signal.SIGPIPE)
        # Written to the descriptor, because print has buffered text for stderr that could not be written.
        os.write(2, f"feedback: it cannot go on: {error}\n".encode())
        return _end_without_output(1)


def _run(arguments: Sequence[str] | None) -> int:
    from deploy.command_line import parser
    from operations.connections import CommandError, quiet_drivers
    from operations.plain_output import PlainOutput, plain
    from runtime.known_settings import unknown_settings
    from runtime.no_pandas import hide_pandas
    from runtime.utf8 import is_utf8

    if arguments is None:
        hide_pandas()
        arguments = sys.argv[1:]
    try:
        faults = [f"the argument {each!r} is not UTF-8 text." for each in arguments if not is_utf8(each)]
        if not faults:
            options = parser().parse_args(arguments)
            faults = unknown_settings(os.environ)
        if faults:
            print("\n".join(f"feedback: {sentence}" for sentence in faults), file=sys.stderr)
            return 2
        if not getattr(options, "is_program", False):
            quiet_drivers()
            # What a command imports stays: to look for garbage in it again and again takes a quarter of its start.
            gc.set_threshold(50_000, 10, 10)
            with redirect_stdout(PlainOutput(sys.stdout)):
                return int(options.run(options))
        return int(options.run(options))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except CommandError as error:
        print(plain(f"feedback: {error}", "\n"), file=sys.stderr)
        return 1


def _open_missing_streams() -> None:
    """Open /dev/null for standard streams that the caller has closed: files and sockets would take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _nobody_reads() -> bool:
    """Whether the reader of our output has closed it, as `| head` does."""
    output = select.poll()
    for stream in (1, 2):
        output.register(stream, 0)
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in output.poll(0))


def _end_without_output(code: int) -> int:
    """Discard buffered output, which Python would write at the end of the process and fail again; the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    return code


if __name__ == "__main__":
    sys.exit(main())
