"""SIGTERM and Ctrl-C: the running steps end, the run is saved, the program stops."""

import contextlib
import signal
import threading


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop, and has been saved.

    Attributes:
        signal: signal.Signals. What asked it to.
        step: int. Where it stands; None: between two runs, or it has no steps.
        remedy: str. How to go on, a sentence.
    """

    def __init__(self, signal_number, step=None, saved=None, remedy="The same command goes on from there."):
        """Takes the signal, and what of the work is saved: the step of a training, or the end of a sentence."""
        self.signal, self.step, self.remedy = signal.Signals(signal_number), step, remedy
        where = saved or ("before the next run" if step is None else f"at step {step}, which is saved")
        super().__init__(f"Stopped by {self.signal.name} {where}.")


class Interruption:
    """Notes SIGTERM and SIGINT while it is entered; the second SIGINT interrupts at once, as usual.

    Outside the main thread it notes nothing, since only that one may handle signals.

    Attributes:
        signal: int. The first signal that came; None: none has.
    """

    def __init__(self):
        self.signal, self._before, self._waits = None, {}, False

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self):
        """Raises Interrupted when a signal comes, within a `with` block that may wait for ever, such as for input."""
        if self.signal:
            raise Interrupted(self.signal)
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def _note(self, number, frame):
        self.signal = self.signal or number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._waits:
            raise Interrupted(number)
