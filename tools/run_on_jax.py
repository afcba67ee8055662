#!/usr/bin/env python3
"""Runs a config's training where there is JAX and no TensorFlow, such as on a GPU whose CUDA TensorFlow does not know.

    .venv/bin/python tools/run_on_jax.py record FOLDER --config=configs/imbalanced.yaml --output_dir=runs/recorded
    python tools/jax_device.py FOLDER         # there; it wants jax and FOLDER, nothing of TensorFlow or tfbert
    .venv/bin/python tools/run_on_jax.py replay FOLDER --config=configs/imbalanced.yaml --output_dir=runs/imbalanced

What trains is tfbert's own step, as XLA compiles it with --xla=on. `record` goes through the whole command without
computing a step: it keeps the programs, every variable at the start of each run, and every batch. `jax_device.py`
executes them. `replay` goes through the same command again, with the losses and outputs that came back: folds,
thresholds, scores and reports are those of `python -m tfbert.run`. The models saved on the way are not trained: the
weights stay where they were computed.
"""

import hashlib
import json
import pathlib
import shutil
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

# A model's last bias tells which recorded state the model stands for, also after saving and loading: number + this.
_MARK = 1000.0
_SAME = "give the flags that were recorded, an --output_dir that is new, and let all operations be computed."
# Programs whose models are kept: of one run, training and prediction.
_PROGRAMS = 4


def main(verb=None, folder=None, *given):
    """Records a command or replays it; the flags are those of tfbert.run."""
    if verb not in ("record", "replay") or not folder:
        sys.exit(f"Error: give record or replay, a folder, and the flags of tfbert.run. Received: {sys.argv[1:]}.")
    from absl import app, flags

    from tfbert import run
    from tfbert.config.load import define_flags

    folder = pathlib.Path(folder)
    if verb == "replay" and not (folder / "results" / "device.txt").exists():
        sys.exit(f"Error: {folder} has no results; run tools/jax_device.py on it first.")
    stand = {"record": Recorder, "replay": Replayer}[verb](folder)
    take_place_of_device(stand)
    define_flags()
    own = ["--xla=on", "--strategy=one_device", "--save_checkpoints_steps=1000000"]

    def to_the_end(arguments):
        status = run.main(arguments)
        if not status:
            stand.finish(pathlib.Path(flags.FLAGS.output_dir))
        return status

    app.run(to_the_end, [sys.argv[0], *given, *own])


def take_place_of_device(stand):
    """Lets the training loop and the evaluator end where they would call the device."""
    from tfbert.inference.ensemble import EnsembleModel
    from tfbert.training.evaluation import Evaluator
    from tfbert.training.loop import TrainingLoop

    def advance(loop, batches, steps):
        losses = stand.train(loop, batches, steps)
        loop.optimizer.iterations.assign_add(steps)
        return losses

    def outputs(evaluator, dataset, on_loop=None):
        model = evaluator.model
        members = model.members if isinstance(model, EnsembleModel) else [model]
        return model.calibrated(stand.predict(model, members, dataset))

    TrainingLoop.advance, Evaluator.outputs = advance, outputs


class Recorder:
    """Keeps what a device would be asked: programs, starting values, batches, and what is done in which order."""

    def __init__(self, folder):
        self._folder, self._operations = folder, []
        self._programs, self._rows, self._batches = {}, {}, {}
        for name in ("programs", "values", "batches"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def train(self, loop, batches, steps):
        """Keeps so many steps; returns losses that say nothing: np.float32 [steps]."""
        variables = loop_variables(loop)
        taken = [next(batches) for _ in range(steps)]
        if loop.step == 0:
            program = self._program(loop, lambda: _step_and_state(loop, variables), taken[0], variables)
            self._begin(kind="train", program=program, start=[self._value(variable) for variable in variables])
        elif self._operations[-1]["kind"] != "train":
            self._begin(kind="train", program=self._operations[_state(loop.model)]["program"], start=_state(loop.model))
        for batch in taken:
            self._keep(batch)
        _last_bias(loop.model).assign(np.full(loop.model.width, _MARK + len(self._operations) - 1))
        return np.full(steps, 0.5, np.float32)

    def predict(self, model, members, dataset):
        """Keeps what is to be predicted; returns zeros: np.float32 [examples, width]."""
        batches = dataset.with_shapes(True, model.windows_per_step)
        batches = batches.shares(0, batches.steps_per_epoch)
        variables = [variable for member in members for variable in _tensorflow_variables(member.variables)]
        states, filled = [_state(member) for member in members], []
        for features, _, weights in batches:
            if not filled:
                program = self._program(model, lambda: _outputs(model), (features,), variables)
                self._begin(kind="predict", program=program, states=states, variables=len(members[0].variables))
            self._keep((features,))
            filled.append((weights.numpy() > 0).tolist())
        self._operations[-1]["filled"] = filled
        return np.zeros((dataset.examples.size, model.width), np.float32)

    def finish(self, output_dir):
        """Writes what is left, the tables of rows and the plan."""
        self._end()
        for number, (name, rows) in enumerate(self._rows.items()):
            dtype = np.dtype(name.split(":")[1])
            table = np.frombuffer(b"".join(rows), dtype).reshape(len(rows), -1)
            small = np.uint16 if dtype.kind == "i" and table.min() >= 0 and table.max() < 2**16 else dtype
            np.savez_compressed(self._folder / f"rows{number}.npz", name=np.array(name), table=table.astype(small))
        (self._folder / "plan.json").write_text(json.dumps(self._operations), encoding="utf-8")
        print(f"Recorded in {self._folder}: {len(self._operations)} operations.")

    def _begin(self, **operation):
        self._end()
        self._operations.append(operation)

    def _end(self):
        if self._batches:
            arrays = {name: np.array(numbers, np.uint32) for name, numbers in self._batches.items()}
            np.savez_compressed(self._folder / "batches" / f"{len(self._operations) - 1}.npz", **arrays)
        self._batches = {}

    def _program(self, owner, make, batch, variables):
        """Returns the name of a compiled function of a batch and variables, which is written where it is new."""
        import tensorflow as tf

        known = (id(owner), str(tf.nest.map_structure(lambda tensor: (tensor.dtype, tensor.shape), batch)))
        if known not in self._programs:
            function = tf.function(make(), jit_compile=True, autograph=False)
            hlo = function.experimental_get_compiler_ir(*batch)(stage="hlo_serialized")
            numbers = {id(variable.handle): number for number, variable in enumerate(variables)}
            captures = function.get_concrete_function(*batch).graph.captures
            about = {"variables": [numbers[id(handle)] for handle, _ in captures], "batch": _names(batch)}
            name = hashlib.sha256(hlo).hexdigest()[:16]
            (self._folder / "programs" / f"{name}.hlo").write_bytes(hlo)
            (self._folder / "programs" / f"{name}.json").write_text(json.dumps(about), encoding="utf-8")
            self._programs[known] = name, owner  # the owner, so that no other object gets its id
            if len(self._programs) > _PROGRAMS:
                self._programs.pop(next(iter(self._programs)))
        return self._programs[known][0]

    def _value(self, variable):
        """Writes a variable's value where it is new; returns its name, or shape and type where it is zero."""
        value = variable.numpy()
        if not value.any():
            return {"shape": value.shape, "dtype": value.dtype.name}
        name = hashlib.sha256(value.tobytes() + f"{value.shape} {value.dtype}".encode()).hexdigest()[:16]
        path = self._folder / "values" / f"{name}.npy"
        if not path.exists():
            np.save(path, value)
        return name

    def _keep(self, batch):
        """Keeps a batch as numbers of rows, each row once: an epoch's rows are those of the one before."""
        import tensorflow as tf

        for name, tensor in zip(_names(batch), tf.nest.flatten(batch)):
            rows = self._rows.setdefault(name, {})
            numbers = [rows.setdefault(row.tobytes(), len(rows)) for row in tensor.numpy()]
            self._batches.setdefault(name, []).append(numbers)


class Replayer:
    """Gives the losses and outputs that came back, in the order in which they were asked for."""

    def __init__(self, folder):
        self._results = folder / "results"
        self._operations = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self._number, self._done = -1, 0

    def train(self, loop, batches, steps):
        """Returns the losses of the next so many steps: np.float32 [steps]."""
        if loop.step == 0 or self._operations[self._number]["kind"] != "train":
            self._result, self._done = self._next("train"), 0
        losses = self._result["losses"][self._done : self._done + steps]
        self._done += steps
        if self._done == len(self._result["losses"]):
            for number, variable in enumerate(loop_variables(loop)):
                if str(number) in self._result:
                    variable.assign(self._result[str(number)])
        return losses

    def predict(self, model, members, dataset):
        """Returns a data set's outputs: np.float32 [examples, width]."""
        outputs = self._next("predict")["outputs"]
        filled = np.array(self._operations[self._number]["filled"])
        return outputs[filled]

    def finish(self, output_dir):
        """Sees to it that all was asked for, and leaves word of what computed it."""
        if self._number != len(self._operations) - 1:
            sys.exit(f"Error: {self._number + 1} of {len(self._operations)} operations were replayed; {_SAME}")
        shutil.copy(self._results / "device.txt", output_dir)

    def _next(self, kind):
        self._number += 1
        path = self._results / f"{self._number}.npz"
        if not path.exists() or self._operations[self._number]["kind"] != kind:
            sys.exit(f"Error: the command asks for a {kind} that {path} does not hold; {_SAME}")
        return dict(np.load(path))


def loop_variables(loop):
    """Returns all variables that a step of a training loop reads or writes, the model's first: list of tf.Variable."""
    optimizer = loop.optimizer
    own = [loop._predicted, loop._weight, loop._loss, loop.data_seed, optimizer._half_squares]
    others = [*own, optimizer._learning_rate.peak]
    return _tensorflow_variables([*loop.model.variables, *optimizer.variables]) + others


def _tensorflow_variables(variables):
    return [variable.value for variable in variables]


def _step_and_state(loop, variables):
    def step(features, labels, weights):
        loss = loop.step_on((features, labels, weights))
        return [loss, *(variable.read_value() for variable in variables)]

    return step


def _outputs(model):
    return lambda features: [model(features, training=False)]


def _names(batch):
    """Returns a name for each tensor of a batch, with its type and the shape of a row: list of str."""
    import tensorflow as tf

    flat = tf.nest.flatten(batch)
    return [f"{number}:{t.dtype.name}:{'x'.join(map(str, t.shape[1:]))}" for number, t in enumerate(flat)]


def _last_bias(model):
    return model.head.variables[-1].value


def _state(model):
    """Returns which operation left a model in its state: int."""
    mark = float(_last_bias(model).numpy()[0])
    if mark < _MARK:
        sys.exit("Error: only what a command trains can be recorded, not a model that was there before.")
    return int(mark - _MARK)


if __name__ == "__main__":
    main(*sys.argv[1:])
