"""SIGTERM and Ctrl-C: the current steps finish, the run is saved, and the program stops."""

import signal
import threading


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop, and has been saved.

    Attributes:
        signal: signal.Signals. The signal.
        step: int. The step reached; None: between two runs.
    """

    def __init__(self, signal_number, step=None):
        self.signal, self.step = signal.Signals(signal_number), step
        where = "before the next run" if step is None else f"at step {step}, which is saved"
        super().__init__(f"Stopped by {self.signal.name} {where}.")


class Interruption:
    """Records SIGTERM and SIGINT during a `with` block; a second SIGINT interrupts at once, as usual.

    Outside the main thread it does nothing, since only the main thread can handle signals.

    Attributes:
        signal: int. The first signal received, or None.
    """

    def __init__(self):
        self.signal, self._before = None, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *error):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self.signal = self.signal or number
        signal.signal(signal.SIGINT, signal.default_int_handler)
