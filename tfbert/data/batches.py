"""The tf.data pipeline: any batch of a run can be computed from its number alone."""

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.parallel_map import parallel_map
from tfbert.data.rows import ROW_LENGTHS, batch_features, pack_rows
from tfbert.data.sampling import epoch_order

# If rows of one window each are fuller than this, packing gains too little.
_FULL = 0.8


class ExampleBatches:
    """The batches (features, labels, weights) of some examples over all epochs, with random access.

    Attributes:
        examples: TokenizedExamples.
        batch_size: int. Examples of a batch, over all devices; the last one of an epoch may hold fewer.
        draws: GroupDraws or None. Which examples an epoch has; None: each once.
        steps_per_epoch: int.
    """

    def __init__(
        self,
        examples,
        batch_size,
        row_length,
        shuffle,
        seed,
        static_shapes=False,
        windows_per_step=None,
        masker=None,
        draws=None,
        before=None,
        renew=None,
    ):
        """Describes the batches; nothing is computed yet.

        Args:
            examples: TokenizedExamples.
            batch_size: int.
            row_length: int. Maximum number of tokens of a row.
            shuffle: bool. A new order every epoch, or the order of the examples.
            seed: int. Determines the order.
            static_shapes: bool. Whether all batches have the same shape, as XLA needs: one row per window, or the rows
                passed to `shares`; else windows share as few rows as a batch needs.
            windows_per_step: int or None. Windows encoded at a time: each has its own row, and the number of rows is a
                multiple of this. None: all at once.
            masker: WordMasker or None. Masks words; the features then include what to predict, and a label is the
                weight of each prediction in the example's loss. The examples must be SegmentExamples.
            draws: GroupDraws or None. Which examples an epoch has; None: each once.
            before: (ExampleBatches, int) or None. Other batches, which a run uses first for the given number of steps.
            renew: callable (epoch) -> TokenizedExamples or None. The same number of examples with the same labels,
                which replace `examples` in a later epoch.
        """
        self.examples, self.batch_size, self.seed, self.draws = examples, batch_size, seed, draws
        self._epoch_size = draws.size if draws else examples.size
        self.steps_per_epoch = -(-self._epoch_size // batch_size)
        self._row_length, self._shuffle = row_length, shuffle
        self._static_shapes, self._windows_per_step = static_shapes, windows_per_step
        self._masker, self._before, self._renew = masker, before, renew

    def phases(self, first_step, last_step):
        """Yields the batches that a run uses in [first_step, last_step), each created when it is needed.

        Yields:
            (ExampleBatches, int): the batches, and the step up to which they are used.
        """
        if self._before and first_step < self._before[1]:
            before = self._before[0].with_shapes(self._static_shapes, self._windows_per_step)
            yield before, min(self._before[1], last_step)
            first_step = self._before[1]
        while self._renew and first_step < last_step:
            epoch = first_step // self.steps_per_epoch
            first_step = (epoch + 1) * self.steps_per_epoch
            yield self._like(examples=self._renew(epoch)) if epoch else self, min(first_step, last_step)
        if first_step < last_step:
            yield self, last_step

    @property
    def needs_here(self):
        """What the pipeline requires of this process and other hosts lack: list of str, see `tfbert.data.hosts`."""
        return self.examples.needs_here + (self._masker.needs_here if self._masker else [])

    def with_shapes(self, static_shapes, windows_per_step=None):
        """Returns the same batches with or without static shapes, for a number of windows at a time."""
        return self._like(static_shapes=static_shapes, windows_per_step=windows_per_step)

    def with_batch_size(self, batch_size):
        """Returns the same examples in batches of another size."""
        return self._like(batch_size=batch_size)

    def subset(self, indices):
        """Returns batches of some of the examples: int [n]."""
        renew = self._renew and (lambda epoch: self._renew(epoch).subset(indices))
        return self._like(examples=self.examples.subset(indices), renew=renew)

    def with_draws(self, draws):
        """Returns batches of the same examples with another sampling: GroupDraws or None."""
        return self._like(draws=draws)

    def in_order(self):
        """Returns batches with each example once, in original order, for evaluation."""
        return self._like(shuffle=False, draws=None, before=None, renew=None)

    @property
    def content(self):
        """What determines the batches of `in_order`, except shapes: (TokenizedExamples, WordMasker or None, int)."""
        return self.examples, self._masker, self.batch_size

    def _like(self, **changes):
        same = {
            "examples": self.examples,
            "batch_size": self.batch_size,
            "row_length": self._row_length,
            "shuffle": self._shuffle,
            "seed": self.seed,
            "static_shapes": self._static_shapes,
            "windows_per_step": self._windows_per_step,
            "masker": self._masker,
            "draws": self.draws,
            "before": self._before,
            "renew": self._renew,
        }
        return ExampleBatches(**same | changes)

    @property
    def static_length(self):
        """The row length if windows share rows of static shape: int."""
        longest = self.examples.window_lengths.max()
        return min([self._row_length, *(length for length in ROW_LENGTHS if length >= longest)])

    def static_rows(self, last_step, shares):
        """Returns the number of rows per share of a batch with which windows can share rows of static shape.

        Every share of all steps is packed for this, also before the first step of a resumed run, so that the shapes,
        and hence the dropout masks, are the same; this takes about a millisecond of one core each.

        Args:
            last_step: int. Steps of the run.
            shares: int. Shares of a batch, over all devices and parts.

        Returns:
            int; None if each window needs its own row: if windows nearly fill it, are encoded in chunks, or belong to
            examples that change from epoch to epoch, and the rows with them.
        """
        if self._masker or self._windows_per_step or self._renew:
            return None
        examples, row_length = self.examples, self.static_length
        if examples.window_lengths.sum() > _FULL * examples.size * examples.most_windows * row_length:
            return None

        def rows(number):
            indices = self._indices(number // shares, number % shares, shares)
            windows, *_ = examples.windows(indices)
            return pack_rows(tf.cast(windows.row_lengths(), tf.int32), tf.constant(row_length))[3]

        counts = parallel_map(tf.data.Dataset.range(last_step * shares), rows)
        most = int(counts.reduce(0, tf.maximum))
        return most if most < -(-self.batch_size // shares) * examples.most_windows else None

    def shares(self, first_step, last_step, parts=1, pipeline=0, pipelines=1, rows=None):
        """Returns the batches of the steps in [first_step, last_step), each split into shares for devices and parts.

        Args:
            first_step, last_step: int. Steps since the start of the run.
            parts: int. Shares of a batch for each pipeline: its devices times the parts of gradient accumulation.
            pipeline, pipelines: int. This host's number, and how many hosts there are.
            rows: int or None. With static shapes, the rows of a share, at least `static_rows`; None: one row per
                window.

        Returns:
            tf.data.Dataset of (features, labels, weights): for every step, `parts` shares, in order of the examples. A
            share has ceil(batch_size / (parts * pipelines)) slots for examples; those without one have weight 0.
        """
        total = parts * pipelines

        def share(number):
            step, part = first_step + number // parts, number % parts
            return self._share(step, part + pipeline * parts, total, rows)

        numbers = tf.data.Dataset.range((last_step - first_step) * parts)
        return _mapped(numbers, share)

    def _share(self, step, share, shares, rows=None, exact=False):
        """Returns share number `share` of the batch of a step; with `exact` there are no empty slots."""
        indices = self._indices(step, share, shares)
        slots = tf.size(indices) if exact else -(-self.batch_size // shares)
        epoch, step = step // self.steps_per_epoch, step % self.steps_per_epoch
        windows, first_lengths, counts = self.examples.windows(indices)
        if self._masker:
            windows, *predictions = self._masker(windows, indices, epoch)
        features = batch_features(
            windows,
            first_lengths,
            counts,
            self.static_length if rows else self._row_length,
            slots,
            self.examples.most_windows,
            self._static_shapes,
            self._windows_per_step,
            rows,
        )
        features, labels, weights = self.examples.labelled(
            features, indices, None if exact else slots, self._static_shapes
        )
        if self._masker:
            batch = self._chosen(epoch, step, tf.range(self.batch_size, dtype=tf.int64))
            features, labels = self._masker.add(features, labels, predictions, self.examples.lengths_of(batch))
        return features, labels, weights

    def _indices(self, step, share, shares):
        """Returns the examples of one share of the batch of a step: int64 [n]."""
        slots = -(-self.batch_size // shares)
        places = tf.cast(share, tf.int64) * slots + tf.range(slots, dtype=tf.int64)
        return self._chosen(step // self.steps_per_epoch, step % self.steps_per_epoch, places)

    def _chosen(self, epoch, step, places):
        """Returns the examples at positions of the batch, as far as they exist: int64 [n] -> int64 [at most n]."""
        positions = step * self.batch_size + places
        filled = (places < self.batch_size) & (positions < self._epoch_size)
        indices = tf.where(filled, positions, 0)
        if self._shuffle:  # all positions at once, as the cipher refuses an empty list
            indices = epoch_order(indices, epoch, self._epoch_size, self.seed)
        if self.draws:
            indices = self.draws.examples(indices, epoch, self.seed)
        return indices[filled]


class ExampleDataset(ExampleBatches, tf.data.Dataset):
    """ExampleBatches that `model.fit` also accepts: each iteration yields the next epoch.

    Iterated batches contain only real examples with weight 1, the last batch of an epoch the remaining ones, because
    Keras counts and predicts every row of a batch.

    Attributes:
        task: one of TASKS or None. The task of the labels.
    """

    def __init__(self, *args, **kwargs):
        """Takes the arguments of ExampleBatches."""
        ExampleBatches.__init__(self, *args, **kwargs)
        self.task = None
        with tf.device("CPU"):
            self._epoch = tf.Variable(-1, dtype=tf.int64, trainable=False)
        self._batches = self._one_epoch_after_another()
        tf.data.Dataset.__init__(self, self._batches._variant_tensor)

    def _inputs(self):
        return [self._batches]

    @property
    def element_spec(self):
        return self._batches.element_spec

    def begin_at(self, epoch):
        """Sets the number (int) of the epoch that is iterated next."""
        self._epoch.assign(epoch - 1)

    def rebatch(self, *args, **kwargs):
        """Refuses, as `unbatch` does."""
        self.unbatch()

    def unbatch(self, *args, **kwargs):
        """Refuses, as the rows of a batch are not its examples."""
        raise InputError(
            "A batch of examples cannot be split, as several may share a row; pass tfbert.make_dataset another "
            "batch_size."
        )

    def _one_epoch_after_another(self):
        epochs = tf.data.Dataset.from_tensors(0).map(lambda _: self._epoch.assign_add(1))
        steps = epochs.flat_map(
            lambda epoch: tf.data.Dataset.range(epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch)
        )
        batches = _mapped(steps, lambda step: self._share(step, 0, 1, exact=True))
        return batches.apply(tf.data.experimental.assert_cardinality(self.steps_per_epoch))


def begin_epochs(dataset, epoch):
    """Calls `begin_at` of the ExampleDataset that a dataset of tf.data comes from, if there is one."""
    for source in _sources_of(dataset):
        source.begin_at(epoch)


def check_fits(dataset, model):
    """Raises InputError if the examples of a dataset, or of a tf.data transformation of it, do not fit a model.

    Their classes might have other numbers than the model's, or they might have more tokens than it has positions, which
    a CPU detects only during a step, and an accelerator never.
    """
    for source in _sources_of(dataset):
        if source.task and model.task and _named(source.task) != _named(model.task):
            raise InputError(
                f"The dataset was made for {source.task.name} of {source.task.labels!r:.200}, the model for "
                f"{model.task.name} of {model.task.labels!r:.200}; give tfbert.make_dataset the model's own task, "
                "model.task."
            )
        model.check_length(int(source.examples.window_lengths.max()))


def _named(task):
    return task.name, [str(label) for label in task.labels]


def _sources_of(dataset):
    """Yields the ExampleDatasets that a dataset of tf.data comes from, itself if it is one."""
    if isinstance(dataset, ExampleDataset):
        yield dataset
    elif isinstance(dataset, tf.data.Dataset):
        for source in dataset._inputs():
            yield from _sources_of(source)


def _mapped(numbers, function):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return parallel_map(numbers, function).with_options(options)
