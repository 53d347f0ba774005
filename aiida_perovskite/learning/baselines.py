"""What a network must beat: simple regressions on one-hot encoded sites.

The features count the elements per site (C; A and B together, so that the swap changes nothing; D): 0, 1 or, for no
site, more. Coefficients other than 1 would only rescale them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .representation import encode

__all__ = ["BASELINES", "cross_validate", "site_one_hots"]

Floats = NDArray[np.float64]


def site_one_hots(grids: NDArray[np.float32]) -> Floats:
    """Flatten encodings (N, 3, 5, 17) to site one-hots (N, features); columns that are empty everywhere are dropped."""
    flat: Floats = (grids != 0).reshape(len(grids), -1).astype(np.float64)
    return flat[:, flat.any(axis=0)]


def _mean(seed: int) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor()


def _ridge(seed: int) -> Any:
    from sklearn.linear_model import RidgeCV

    # The penalty is chosen by leave-one-out on the training rows.
    return RidgeCV(alphas=np.logspace(-2, 2, 9))


def _gradient_boosting(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(
        n_estimators=1000, max_depth=4, learning_rate=0.1, subsample=0.7, random_state=seed
    )


def _extremely_randomised_trees(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(n_estimators=300, max_features=0.5, random_state=seed)


BASELINES: dict[str, Callable[[int], Any]] = {
    "mean": _mean,
    "ridge": _ridge,
    "gradient_boosting": _gradient_boosting,
    "extremely_randomised_trees": _extremely_randomised_trees,
}
"""Name -> function that makes an unfitted scikit-learn regressor from a seed."""


def cross_validate(
    formulas: Iterable[str], targets_ev: Floats, fold: NDArray[np.int64], seed: int = 0
) -> dict[str, Floats]:
    """Predict every row by baselines that were fitted to the other folds.

    Parameters
    ----------
    formulas, targets_ev, fold
        Rows, shape (N,) each; `fold` numbers the fold that holds a row out.
    seed
        Seed of the tree ensembles.

    Returns
    -------
    dict
        Baseline -> held-out predictions in eV, shape (N,), not below 0.
    """
    features = site_one_hots(encode(formulas))
    predictions = {}
    for name, make in BASELINES.items():
        predicted = np.empty(len(features))
        for number in np.unique(fold):
            train, test = fold != number, fold == number
            predicted[test] = make(seed).fit(features[train], targets_ev[train]).predict(features[test])
        predictions[name] = np.maximum(predicted, 0.0)
    return predictions
