"""How far a long prediction is: a bar on a terminal, elsewhere a line now and then."""

import sys
import time

from tqdm import tqdm

# Seconds between two lines.
_EVERY = 30.0


class Progress:
    """Shows how many examples are done, of how many, and the time left, on standard error."""

    def __init__(self, total=None, stream=None, clock=time.monotonic):
        """Begins.

        Args:
            total: int or None. All examples; None: nobody knows.
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
        """Says that so many more are done."""
        self._done += count
        if self._bar:
            self._bar.update(count)
        elif self._clock() - self._told >= _EVERY:
            self._told = self._clock()
            print(self._line(), file=self._stream, flush=True)

    def skip(self, count):
        """Says that so many were done before."""
        self._done, self._skipped = self._done + count, self._skipped + count
        if self._bar:
            self._bar.initial += count
            self._bar.update(count)

    def close(self):
        """Ends the bar."""
        if self._bar:
            self._bar.close()

    def _line(self):
        rate = (self._done - self._skipped) / (self._clock() - self._begin)
        if not self._total:
            return f"{self._done:,} examples, {rate:,.1f} a second"
        left = tqdm.format_interval((self._total - self._done) / rate) if rate else "?"
        return f"{self._done:,} of {self._total:,} examples, {rate:,.1f} a second, {left} left"
