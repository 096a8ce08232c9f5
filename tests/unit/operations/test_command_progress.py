"""A long command tells how far it is: in place on a terminal, a line a minute elsewhere."""

import io

import pytest

from operations.progress import Progress, line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A time that passes when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("done", "total", "elapsed_s", "text"),
    [
        (0, 4800, 5, "rows compared: 0 of 4,800 (0 %)"),
        (1200, 4800, 60, "rows compared: 1,200 of 4,800 (25 %), about 3 min left"),
        (2400, 4800, 30, "rows compared: 2,400 of 4,800 (50 %), about 30 s left"),
        (1, 4800, 60, "rows compared: 1 of 4,800 (0 %), about 79 h 59 min left"),
        (4800, 4800, 60, "rows compared: 4,800 of 4,800 (100 %)"),
        (5000, 4800, 60, "rows compared: 5,000 of 5,000 (100 %)"),
        (0, 0, 0, "rows compared: 0 of 0"),
    ],
)
def test_a_line_says_what_is_done_of_how_much_and_how_long_the_rest_takes(
    done: int, total: int, elapsed_s: float, text: str
) -> None:
    assert line("rows compared", done, total, elapsed_s) == text


def test_elsewhere_than_on_a_terminal_it_is_one_line_a_minute() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    with progress.step("rows", 600) as advance:
        for _ in range(300):
            clock.now += 0.5
            advance(1)
    assert stream.getvalue().splitlines() == [
        "rows: 120 of 600 (20 %), about 4 min left",
        "rows: 240 of 600 (40 %), about 3 min left",
    ]


def test_on_a_terminal_the_line_is_written_in_place_and_is_gone_at_the_end() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    with progress.step("rows", 600) as advance:
        for _ in range(4):
            advance(1)
            clock.now += 0.11
        progress.say("A sentence.")
        advance(1)
    clear = "\r\x1b[2K"
    assert stream.getvalue() == (
        f"{clear}rows: 1 of 600 (0 %){clear}rows: 3 of 600 (0 %){clear}A sentence.\n{clear}rows: 5 of 600 (0 %){clear}"
    )


def test_the_line_is_gone_when_a_step_fails() -> None:
    stream = Terminal()
    with pytest.raises(ZeroDivisionError), Progress(stream, Clock()).step("rows", 2) as advance:
        advance(advance(1) or 1 // 0)
    assert stream.getvalue() == "\r\x1b[2Krows: 1 of 2 (50 %)\r\x1b[2K"


def test_a_line_is_cut_to_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    with Progress(stream, Clock()).step("rows compared with the journal", 2) as advance:
        advance(1)
    assert "\r\x1b[2Krows compared with \r" in stream.getvalue()
