"""Progress of a long prediction: a bar on a terminal, elsewhere a line now and then."""

import sys
import time

from tqdm import tqdm

# Seconds between two lines.
_EVERY = 30.0


class Progress:
    """Shows on standard error how many of the examples are done, and the time left."""

    def __init__(self, total=None, stream=None, clock=time.monotonic):
        """Starts the clock.

        Args:
            total: int or None. Number of examples; None: unknown.
            stream: text file; None: standard error.
            clock: callable () -> float, seconds.
        """
        self._total, self._stream, self._clock = total, stream or sys.stderr, clock
        self._done = self._skipped = 0
        self._begin = self._told = clock()
        self._bar = None
        if self._stream.isatty():
            self._bar = tqdm(total=total, unit=" examples", mininterval=1.0, file=self._stream, unit_scale=True)

    def update(self, count):
        """Adds a number of examples that are done."""
        self._done += count
        if self._bar:
            self._bar.update(count)
        elif self._clock() - self._told >= _EVERY:
            self._told = self._clock()
            print(self._line(), file=self._stream, flush=True)

    def skip(self, count):
        """Adds a number of examples that an earlier run has done; they do not count for the speed."""
        self._done, self._skipped = self._done + count, self._skipped + count
        if self._bar:
            self._bar.initial += count
            self._bar.update(count)

    def close(self):
        """Closes the bar."""
        if self._bar:
            self._bar.close()

    def _line(self):
        rate = (self._done - self._skipped) / (self._clock() - self._begin)
        if not self._total:
            return f"{self._done:,} examples, {rate:,.1f} per second"
        left = tqdm.format_interval((self._total - self._done) / rate) if rate else "?"
        return f"{self._done:,} of {self._total:,} examples, {rate:,.1f} per second, {left} left"
