"""SIGTERM and Ctrl-C: the current steps finish, the run is saved, and the program stops."""

import contextlib
import signal
import threading


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop, and has been saved.

    Attributes:
        signal: signal.Signals. The signal.
        step: int. The step reached; None: between two runs.
        remedy: str. A sentence on how to resume.
    """

    def __init__(self, signal_number, step=None, saved=None, remedy="The same command resumes from there."):
        """Takes the signal, and the step reached or, for other work, the end of a sentence on what was saved."""
        self.signal, self.step, self.remedy = signal.Signals(signal_number), step, remedy
        where = saved or ("before the next run" if step is None else f"at step {step}, which is saved")
        super().__init__(f"Stopped by {self.signal.name} {where}.")


class Interruption:
    """Records SIGTERM and SIGINT during a `with` block; a second SIGINT interrupts at once, as usual.

    Outside the main thread it does nothing, since only the main thread can handle signals.

    Attributes:
        signal: int. The first signal received, or None.
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
        """Raises Interrupted as soon as a signal arrives, during a `with` block that may wait for input."""
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
