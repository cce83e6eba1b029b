"""Tables that are hard to learn: each is predicted better than by a simple baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, r2_score, roc_auc_score

import anynet
from anynet.tabular import Fast, RealMLP

pandas = pytest.importorskip("pandas")

QUICK = {
    "preset": Fast(n_members=3, epochs=40, width=32),
    "random_state": 0,
    "backend": "numpy",
}


def classify(
    x: Any, y: np.ndarray, n_train: int, **options: Any
) -> tuple[anynet.TabularClassifier, float, float]:
    """Return a classifier, and its log loss on the other rows divided by that of the shares."""
    made = anynet.TabularClassifier(**QUICK | options).fit(x[:n_train], y[:n_train])
    prior = DummyClassifier(strategy="prior").fit(y[:n_train], y[:n_train])
    rest = y[n_train:]
    loss = log_loss(rest, made.predict_proba(x[n_train:]))
    return made, loss / log_loss(rest, prior.predict_proba(rest)), loss


def regress(x: Any, y: np.ndarray, n_train: int, **options: Any) -> float:
    """Return R² on the other rows."""
    made = anynet.TabularRegressor(**QUICK | options).fit(x[:n_train], y[:n_train])
    return float(r2_score(y[n_train:], made.predict(x[n_train:])))


def test_300_rows_beat_a_linear_model_where_the_classes_are_not_linear(rng) -> None:
    x = rng.normal(size=(1300, 3))
    y = (np.sum(x[:, :2] ** 2, axis=1) > 1.4).astype(int)
    _, _, loss = classify(x, y, 300)
    linear = LogisticRegression().fit(x[:300], y[:300])
    assert loss < 0.6 * log_loss(y[300:], linear.predict_proba(x[300:]))


def test_one_column_beats_a_line(rng) -> None:
    x = rng.uniform(-3, 3, size=(600, 1))
    y = np.sin(2 * x[:, 0]) + 0.1 * rng.normal(size=600)
    line = LinearRegression().fit(x[:400], y[:400]).score(x[400:], y[400:])
    assert regress(x, y, 400) > 0.85 > line + 0.3


def test_500_columns_of_which_five_matter(rng) -> None:
    x = rng.normal(size=(1000, 500))
    y = (x[:, :5].sum(axis=1) > 0).astype(int)
    made, ratio, _ = classify(x, y, 600, preset=Fast(n_members=2, epochs=12, width=32))
    assert ratio < 0.95
    assert made.score(x[600:], y[600:]) > 0.65


def test_ten_thousand_levels_are_no_harm_and_few_frequent_ones_are_used(rng) -> None:
    n = 25_000
    level = rng.integers(0, 10_000, size=n)
    level[rng.random(n) < 0.3] = 7
    x = pandas.DataFrame({"level": [f"user-{each}" for each in level], "size": rng.normal(size=n)})
    y = (x["size"] + 2 * (level == 7) + 0.5 * rng.normal(size=n) > 0.8).to_numpy()
    few = Fast(n_members=2, epochs=3, width=16)
    with pytest.warns(UserWarning, match="level: .* rows hold a category"):
        made, ratio, _ = classify(x, y, 20_000, preset=few)
    assert ratio < 0.6
    assert any("level" in note for note in made.notes_)


def test_embeddings_of_many_levels_learn_the_effect_of_each(rng) -> None:
    level = rng.integers(0, 200, size=3000)
    effect = rng.normal(size=200)
    x = pandas.DataFrame({"level": [f"shop {each}" for each in level]})
    y = effect[level] + 0.3 * rng.normal(size=3000)
    assert regress(x, y, 2000, preset=RealMLP(epochs=15, width=32)) > 0.7


def test_one_row_in_a_hundred_is_found(rng) -> None:
    n = 4000
    x = rng.normal(size=(n, 4))
    y = np.zeros(n, dtype=int)
    y[:40] = 1
    x[:40, :2] += 2
    order = rng.permutation(n)
    x, y = x[order], y[order]
    made, ratio, _ = classify(x, y, 3000)
    assert ratio < 0.8
    assert roc_auc_score(y[3000:], made.predict_proba(x[3000:])[:, 1]) > 0.9
    assert 0.003 < made.predict_proba(x)[:, 1].mean() < 0.03  # probabilities are calibrated


@pytest.mark.parametrize("as_frame", [True, False])
def test_constant_duplicate_and_empty_columns_are_no_harm(rng, as_frame: bool) -> None:
    x = rng.normal(size=(700, 2))
    y = (x[:, 0] > x[:, 1]).astype(int)
    made = np.column_stack([x, x[:, 0], np.full(700, 5.0), np.full(700, np.nan)])
    frame = pandas.DataFrame(made, columns=list("abcde")) if as_frame else made
    found, ratio, _ = classify(frame, y, 500)
    assert ratio < 0.4
    filled = frame.copy()
    if as_frame:
        assert {note[0] for note in found.notes_} == {"d", "e"}
        filled["e"] = 3.0
        filled["d"] = -9.0
        np.testing.assert_array_equal(found.predict(filled), found.predict(frame))
    else:
        filled[:, 3:] = 7.0
        assert np.isfinite(found.predict_proba(filled)).all()


def test_numbers_with_heavy_tails(rng) -> None:
    x = rng.standard_cauchy(size=(900, 3)) * [1e-6, 1.0, 1e6]
    y = (x[:, 0] * 1e6 > x[:, 2] / 1e6).astype(int)
    _, ratio, _ = classify(x, y, 600)
    assert ratio < 0.4


def test_a_target_with_a_heavy_tail_is_predicted_better_than_by_its_mean(rng) -> None:
    x = rng.normal(size=(1500, 2))
    y = np.exp(1.5 * x[:, 0])
    assert regress(x, y, 1000) > 0.5


@pytest.mark.parametrize("scale", [1e9, 1e-9])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_targets_of_every_size(rng, scale: float, offset: float) -> None:
    x = rng.normal(size=(600, 3))
    y = scale * (x[:, 0] + x[:, 1] ** 2 + offset)
    assert regress(x, y, 400) > 0.85


def test_dates_have_seasons_and_weekdays(rng) -> None:
    day = np.datetime64("2019-01-01") + rng.integers(0, 1500, size=1200)
    weekday = (day.astype("M8[D]").astype(int) + 3) % 7
    month = day.astype("M8[M]").astype(int) % 12
    y = np.where((weekday >= 5) ^ ((month >= 5) & (month < 9)), "open", "closed")
    x = pandas.DataFrame({"day": day, "text": day.astype(str)})
    made, ratio, _ = classify(x, y, 900)
    assert ratio < 0.6
    assert {each.kind for each in made.preprocessing_.encoders} == {"date"}


def test_text_is_a_category_if_it_repeats_and_is_reported_otherwise(rng) -> None:
    n = 900
    kind = rng.integers(0, 30, size=n)
    titles = np.array([f"Model {each}, 2 doors (red)" for each in range(30)])[kind]
    comments = [f"row {at} has a text of its own" for at in range(n)]
    x = pandas.DataFrame({"title": titles, "comment": comments})
    y = (kind % 3 == 0).astype(int)
    made, ratio, _ = classify(x, y, 600)
    assert ratio < 0.5
    assert made.preprocessing_.ignored == ("comment",)
    assert any(note.startswith("comment") for note in made.notes_)


def test_numbers_in_text_with_a_comma_are_numbers(rng) -> None:
    size = rng.normal(size=600)
    x = pandas.DataFrame({"size": [f"{each:.2f}".replace(".", ",") for each in size]})
    y = (np.abs(size) > 0.7).astype(int)
    made, ratio, _ = classify(x, y, 400)
    assert ratio < 0.4
    assert made.preprocessing_.marks["size"][0] == ","
    one = made.predict(pandas.DataFrame({"size": ["1,50"]}))
    assert one.tolist() == [1]
