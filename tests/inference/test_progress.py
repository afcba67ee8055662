"""What is shown of a long prediction: lines now and then where there is no terminal, a bar where there is one."""

import io

from tfbert.inference.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def lines_of(total, updates, skipped=0):
    """Returns the lines that are printed: updates are (seconds passed, examples)."""
    stream, now = io.StringIO(), [100.0]
    progress = Progress(total, stream, lambda: now[0])
    progress.skip(skipped)
    for seconds, count in updates:
        now[0] += seconds
        progress.update(count)
    progress.close()
    return stream.getvalue().splitlines()


def test_a_line_now_and_then():
    assert lines_of(1000, [(1.0, 10)] * 29) == []
    assert lines_of(1000, [(1.0, 10)] * 65) == [
        "300 of 1,000 examples, 10.0 per second, 01:10 left",
        "600 of 1,000 examples, 10.0 per second, 00:40 left",
    ]


def test_what_was_done_before_is_no_speed():
    assert lines_of(1000, [(30.0, 300)], skipped=400) == ["700 of 1,000 examples, 10.0 per second, 00:30 left"]


def test_where_nobody_knows_how_many():
    assert lines_of(None, [(30.0, 300)]) == ["300 examples, 10.0 per second"]


def test_a_terminal_has_a_bar():
    stream = Terminal()
    progress = Progress(1000, stream)
    progress.skip(500)
    progress.update(500)
    progress.close()
    assert "100%" in stream.getvalue() and "1.00k/1.00k" in stream.getvalue() and "examples, " not in stream.getvalue()
