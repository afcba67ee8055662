"""Schedules against the papers' equations, and what holds for all of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference.optimizers import cosine, slanted_triangular
from tfbert import linear_warmup, make_schedule
from tfbert.config.load import FIELDS
from tfbert.config.setting import choices_of
from tfbert.optim import SCHEDULES

PEAK, TOTAL, WARMUP = 3e-4, 200, 20
END = {"linear": 0.0, "cosine": 0.0, "polynomial": 0.0, "constant": PEAK, "slanted_triangular": PEAK / 32}
AFTER = {
    "linear": lambda t: PEAK * (TOTAL - t) / (TOTAL - WARMUP),
    "cosine": lambda t: cosine(t - WARMUP, TOTAL - WARMUP, PEAK),
    "polynomial": lambda t: PEAK * (1 - (t - WARMUP) / (TOTAL - WARMUP)) ** 3,
    "constant": lambda t: PEAK,
    "slanted_triangular": lambda t: slanted_triangular(t, TOTAL, WARMUP / TOTAL, PEAK),
}


def rates(name, warmup=WARMUP, total=TOTAL):
    schedule = make_schedule(name, PEAK, total, warmup, power=3.0)
    return np.array([float(schedule(step)) for step in range(total + 1)])


def test_the_flag_names_the_table():
    assert choices_of(FIELDS["schedule"]) == tuple(SCHEDULES) == tuple(AFTER)


@pytest.mark.parametrize("name", SCHEDULES)
def test_equals_its_formula(name):
    found = rates(name)
    np.testing.assert_allclose(found[WARMUP:], [AFTER[name](t) for t in range(WARMUP, TOTAL + 1)], atol=1e-6 * PEAK)
    if name == "slanted_triangular":
        rise = [slanted_triangular(t, TOTAL, WARMUP / TOTAL, PEAK) for t in range(WARMUP)]
    else:
        rise = [PEAK * t / WARMUP for t in range(WARMUP)]
    np.testing.assert_allclose(found[:WARMUP], rise, atol=1e-6 * PEAK)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_rises_to_the_peak_and_never_again(name, warmup):
    found = rates(name, warmup)
    assert found[warmup] == found.max() == pytest.approx(PEAK, rel=1e-6)
    assert (np.diff(found[: warmup + 1]) > 0).all() and (np.diff(found[warmup:]) <= 0).all()
    assert found[-1] == pytest.approx(END[name], abs=1e-6 * PEAK)
    assert float(make_schedule(name, PEAK, TOTAL, warmup)(TOTAL + 50)) == pytest.approx(END[name], abs=1e-6 * PEAK)


@pytest.mark.parametrize("name", SCHEDULES)
def test_saves_and_runs_in_a_graph(name):
    schedule = make_schedule(name, PEAK, TOTAL, WARMUP, power=1.5)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()
    for step in (0, 5, 20, 150):
        inside = tf.function(schedule)(tf.constant(step, tf.int64))
        assert float(inside) == pytest.approx(float(again(step)), rel=1e-6)


def test_linear_warmup_keeps_its_name():
    assert linear_warmup(PEAK, TOTAL, WARMUP).get_config() == make_schedule("linear", PEAK, TOTAL, WARMUP).get_config()
