"""Preflight: the real training step, compiled by the real TPU compiler on a machine without a TPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from tfbert.data.hosts import refusal as refusal_of_hosts
from tfbert.modes.preflight.pins import TPU_PINS, pins_of
from tfbert.modes.preflight.search import bounds, line, search
from tfbert.modes.preflight.step import StepCompiler, rows_of_epoch
from tfbert.modes.preflight.topologies import GIB, find_topology

if TYPE_CHECKING:
    from tfbert.data.batches import ExampleBatches
    from tfbert.models.keras_model import BatchModel
    from tfbert.optim.adam_weight_decay import AdamWeightDecay

# Assumed utilisation of a chip's peak, for estimating whether the host can feed it.
ASSUMED_UTILISATION = 0.4
_PIPELINE_SECONDS = 3.0


def preflight(
    model: BatchModel,
    optimizer: AdamWeightDecay,
    dataset: ExampleBatches,
    topology: str,
    accumulation: int = 1,
    search_batch: bool = False,
    say: Callable[[str], None] = print,
) -> dict:
    """Checks whether training would run on a TPU, and says so as soon as it is known.

    Args:
        model: TextModel.
        optimizer: AdamWeightDecay.
        dataset: ExampleBatches. The training data, in batches over all chips.
        topology: str. Google's name of the TPU, as `tfbert.modes.preflight.topologies` lists them.
        accumulation: int. Number of parts into which a batch is split.
        search_batch: bool. Whether to search for the largest batch that fits, with a few more compilations.
        say: callable (str). Called with a message for each compilation, and with the verdict.

    Returns:
        dict, the content of `preflight.json`. Of the settings: `topology`, `chips`, `batch_size` (over all chips).
        Of the program: `compiles` (a TPU supports all its operations), `failure` (the operation that it does not
        support, or None), `hosts_failure` (why the hosts of a pod slice cannot run the input pipeline, or None),
        `would_run`, `hbm_needed_bytes` and `hbm_bytes` (of one chip), `largest_batch` and `smallest_that_fails` (over
        all chips; None: not searched, or not reached), `flops_per_example`, `all_reduced_bytes` (the gradients that
        each chip sends per step). Of the data: `padding_share`. Of one host: `pipeline_examples_per_second` (what it
        prepares), `asked_examples_per_second` (what its chips need). And `pins`.

    Raises:
        InputError: the topology is unknown, or the TPU compiler is not installed.

    Example:
        >>> about = tfbert.preflight(model, optimizer, dataset, "v5e-8")  # doctest: +SKIP
        >>> about["compiles"]  # doctest: +SKIP
        True
    """
    topology = find_topology(topology)
    compiler = StepCompiler(model, optimizer, dataset, topology, accumulation, say)
    parts = topology.chips * accumulation
    asked = compiler.compile(-(-dataset.batch_size // parts))
    refused = refusal_of_hosts(dataset.needs_here) if topology.hosts > 1 else None
    say(_verdict(asked, refused, dataset.batch_size, topology))
    searched = search_batch and not asked.failure
    known = search(compiler.compile, asked, topology.hbm_bytes) if searched else [asked]
    fits, fails = bounds(known) if searched else (None, None)
    flops = _flops_per_example(known)
    return {
        "topology": topology.name,
        "chips": topology.chips,
        "batch_size": dataset.batch_size,
        "compiles": asked.failure is None,
        "failure": asked.failure,
        "hosts": topology.hosts,
        "hosts_failure": refused,
        "would_run": asked.fits and not refused,
        "hbm_needed_bytes": _hbm_needed(asked, known),
        "hbm_bytes": topology.hbm_bytes,
        "largest_batch": fits and fits * parts,
        "smallest_that_fails": fails and fails * parts,
        "flops_per_example": flops,
        "all_reduced_bytes": _gradient_bytes(optimizer) if topology.chips > 1 else 0,
        "padding_share": padding_share(dataset.with_shapes(True, model.windows_per_step), parts),
        "pipeline_examples_per_second": pipeline_speed(dataset, parts),
        "asked_examples_per_second": flops
        and ASSUMED_UTILISATION * topology.peak_flops * topology.chips / topology.hosts / flops,
        "pins": pins_of(next(iter(TPU_PINS))),
    }


def _verdict(asked, refused, batch_size, topology):
    """Returns in one sentence whether the requested step would run."""
    if asked.fits and not refused:
        room = f"{_gib(asked.hbm_bytes)} of {_gib(topology.hbm_bytes)} per chip"
        return f"It would run on {topology.name}: a batch of {batch_size} fits ({room})."
    why = asked.failure or refused or f"a batch of {batch_size} does not fit into {_gib(topology.hbm_bytes)} per chip"
    return f"It would NOT run on {topology.name}: {why}."


def describe(found):
    """Returns the findings of `preflight` as text: str."""
    chips = f"{found['chips']} chip{'s' * (found['chips'] > 1)}"
    hosts = "" if found["hosts"] == 1 else f"{found['hosts']}, each with its own pipeline (--tpu=NAME); not run here"
    lines = {"topology": f"{found['topology']}: {chips} of {_gib(found['hbm_bytes'])} each"}
    lines["compiles"] = "yes" if found["compiles"] else f"NO: {found['failure']}"
    if found["compiles"]:
        lines |= _program_lines(found)
    lines |= {"hosts": found["hosts_failure"] or hosts} if hosts else {}
    lines["padding"] = f"{found['padding_share']:.1%} of the tokens"
    lines["input pipeline"] = f"{found['pipeline_examples_per_second']:,.0f} examples/s on this host" + _asked(found)
    lines["pins"] = " ".join(f"{package}=={version}" for package, version in found["pins"].items())
    return "\n".join(f"{name:<15} {text}" for name, text in lines.items())


def refusal(found):
    """Returns why a training would not run and what would help, one or two sentences: str."""
    if not found["compiles"]:
        return f"It would not run on {found['topology']}: {found['failure']}."
    if found["hosts_failure"]:
        return f"{found['hosts_failure']}."
    searched = found["largest_batch"] is not None
    remedies = [] if searched else ["a smaller --train_batch_size (--search_batch finds the largest)"]
    remedies += [f"--train_batch_size={found['largest_batch']}"] if found["largest_batch"] else []
    remedies += ["more --gradient_accumulation_steps", "a TPU with more chips or memory"]
    return (
        f"It would not run on {found['topology']}: a batch of {found['batch_size']} needs more than the "
        f"{_gib(found['hbm_bytes'])} of a chip. Possible remedies: {', '.join(remedies)}."
    )


def pipeline_speed(dataset, parts=1):
    """Returns how many examples per second this host prepares for `parts` chips, measured for some seconds: float."""
    dataset = dataset.with_shapes(static_shapes=True)
    epoch = dataset.shares(0, dataset.steps_per_epoch, parts, rows=rows_of_epoch(dataset, parts))
    shares = iter(epoch.repeat())
    next(shares)  # pays for starting the pipeline
    start, examples = time.monotonic(), 0.0
    while time.monotonic() - start < _PIPELINE_SECONDS:
        examples += float(tf.reduce_sum(next(shares)[2]))
    return examples / (time.monotonic() - start)


def padding_share(dataset, parts=1):
    """Returns the share of padding among the tokens of an epoch, in batches of static shape: float.

    Args:
        dataset: ExampleBatches.
        parts: int. Number of parts into which a batch is split.
    """
    rows = rows_of_epoch(dataset, parts)
    spec = dataset.shares(0, 1, parts, rows=rows).element_spec[0]["token_ids"]
    examples = dataset.draws.size if dataset.draws else dataset.examples.size
    tokens = examples * float(dataset.examples.window_lengths.sum()) / dataset.examples.size
    return 1.0 - tokens / (spec.shape.num_elements() * parts * dataset.steps_per_epoch)


def _flops_per_example(known):
    """Returns those of the largest program that fits, in which the update weighs least; None if none does."""
    best = max(known, key=lambda compiled: compiled.examples * compiled.fits)
    return best.flops / best.examples if best.fits else None


def _gradient_bytes(optimizer):
    return sum(4 * int(variable.value.shape.num_elements()) for variable in optimizer.trained_variables)


def _hbm_needed(asked, known):
    """Returns what the compiler reported; if it gave up, what a line through the programs that fit predicts."""
    through = line(known)
    if asked.fits or through is None:
        return asked.hbm_bytes
    return max(asked.hbm_bytes, round(through[0] + through[1] * asked.examples))


def _program_lines(found):
    fails = found["smallest_that_fails"]
    beyond = f"; {fails} does not fit" if fails else "; no larger one was tried"
    largest = "not searched (--search_batch)" if found["largest_batch"] is None else f"{found['largest_batch']}{beyond}"
    needed = _gib(found["hbm_needed_bytes"]) if found["hbm_needed_bytes"] else "more than the compiler can count"
    return {
        "HBM needed": f"{needed} of {_gib(found['hbm_bytes'])} per chip, for a batch of {found['batch_size']}",
        "largest batch": largest,
        "all-reduced": f"{found['all_reduced_bytes'] / 1e6:,.0f} MB per step",
        "flops": f"{found['flops_per_example']:.3g} per example" if found["flops_per_example"] else "unknown",
    }


def _asked(found):
    asked = found["asked_examples_per_second"]
    if not asked:
        return ""
    verdict = "enough" if found["pipeline_examples_per_second"] >= asked else "TOO SLOW"
    return f"; its chips, at an assumed {ASSUMED_UTILISATION:.0%} of their peak, need {asked:,.0f}: {verdict}"


def _gib(count):
    return f"{count / GIB:.2f} GiB"
