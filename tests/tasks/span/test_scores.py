"""Scores of answers, against what the official scripts of SQuAD 2.0 and CMRC 2018 say (golden)."""

import json

import numpy as np
import pytest

from tests.conftest import ROOT
from tfbert.tasks.span.scores import best_threshold, cmrc_segments, definition_for, scores_of

GOLDEN = json.loads((ROOT / "tests" / "golden" / "span_scores.json").read_text())


@pytest.mark.parametrize("definition", ["squad", "cmrc"])
def test_scores_are_those_of_the_official_script(definition):
    rows = GOLDEN[definition]
    found = [scores_of(guess, right, definition) for right, guess, *_ in rows]
    for (right, guess, exact, f1), (own_exact, own_f1) in zip(rows, found):
        assert own_exact == exact, (right, guess)
        assert own_f1 == pytest.approx(f1, abs=1e-9), (right, guess)
    assert 0.1 < np.mean([f1 for *_, f1 in rows]) < 0.9


def test_the_best_threshold_is_that_of_the_official_script():
    gaps, score, threshold = GOLDEN["threshold"]
    rows = GOLDEN["squad"]
    with_answer = np.array([f1 if right else float(not guess) for right, guess, _, f1 in rows])
    without = np.array([float(not right) for right, *_ in rows])
    assert best_threshold(np.array(gaps), with_answer, without) == pytest.approx((score, threshold))


def test_a_threshold_divides_no_equal_gaps():
    """Against trying every threshold."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        gaps, one, other = rng.integers(0, 4, 12) / 2, rng.random(12), rng.integers(0, 2, 12).astype(float)
        score, threshold = best_threshold(gaps, one, other)
        tried = [np.where(gaps > cut, other, one).mean() for cut in (*gaps, gaps.min() - 1)]
        assert score == pytest.approx(max(tried))
        assert np.where(gaps > threshold, other, one).mean() == pytest.approx(score)


def test_chinese_answers_have_their_own_definition():
    assert definition_for(["北京", "上海的", "1998"]) == "cmrc" and definition_for(["Beijing", "北京", "x"]) == "squad"
    assert definition_for([]) == "squad"
    assert cmrc_segments("在2008年，NBA球员！") == ["在", "2008", "年", "nba", "球", "员"]
    assert scores_of("中国人民", ["中国人"], "cmrc") == (0.0, pytest.approx(6 / 7))
    assert scores_of("“中国人”", ["中国人"], "cmrc") == (1.0, 1.0)
