"""Energies with uncertainty: from a regression, and from a generator alone."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_elpasolites import smooth_energies, smooth_table

from aiida_perovskite.learning.generative.autoregressive import Autoregressive
from aiida_perovskite.learning.generative.design import DesignSettings, EnergyTarget, design
from aiida_perovskite.learning.generative.energies import (
    ClassEnergies,
    Energies,
    RegressionEnergies,
    best_energies,
)
from aiida_perovskite.learning.generative.settings import AutoregressiveSettings
from aiida_perovskite.learning.generative.space import GenerativeError, space_codes
from aiida_perovskite.learning.generative.table import ElpasoliteTable

TARGET = EnergyTarget.parse("formation energy < 0")
UNSEEN = np.random.default_rng(9).choice(space_codes(), 4000, replace=False)


NOISE = 0.3  # eV/atom, which nothing can predict


@pytest.fixture(scope="module")
def table() -> ElpasoliteTable:
    rows = smooth_table(1000).rows_as_stored
    noise = np.random.default_rng(1).normal(scale=NOISE, size=len(rows.codes))
    return ElpasoliteTable.from_stored(rows._replace(energies_ev_per_atom=rows.energies_ev_per_atom + noise))


@pytest.fixture(scope="module")
def generator(table: ElpasoliteTable) -> Autoregressive:
    settings = AutoregressiveSettings(members=4, folds=4, updates=400, width=64)
    return Autoregressive.fit(table, settings)


@pytest.mark.parametrize("kind", ["regression", "classes"])
def test_intervals_and_chances_come_true(kind: str, table: ElpasoliteTable, generator: Autoregressive) -> None:
    """Of compounds that nobody saw; also of those with the lowest predictions, which a design takes."""
    energies: Energies = ClassEnergies(generator) if kind == "classes" else RegressionEnergies(table, DesignSettings())
    truth = smooth_energies(UNSEEN) + np.random.default_rng(2).normal(scale=NOISE, size=len(UNSEEN))
    predicted = energies.predict(UNSEEN)
    assert np.corrcoef(predicted, truth)[0, 1] > 0.9
    lower, upper, chance = energies.uncertainty(predicted, TARGET, 0.9)
    inside = (lower <= truth) & (truth <= upper)
    # A generator is calibrated by single networks, and is better than these: its intervals hold too much.
    assert 0.88 < inside.mean() < (0.98 if kind == "classes" else 0.92)
    assert inside[predicted <= np.quantile(predicted, 0.02)].mean() > 0.85
    unsure = (chance > 0.1) & (chance < 0.9)
    assert TARGET.holds(truth)[unsure].mean() == pytest.approx(chance[unsure].mean(), abs=0.1)


def test_a_design_without_the_table(generator: Autoregressive) -> None:
    found = design(generator, None, TARGET, 20, DesignSettings(draws=2000))
    assert len(found.compositions) == 20
    assert found.compositions["known"].isna().all()
    assert found.summary["n_known"] is None
    assert "networks" in found.summary["energies_from"]


def test_what_errs_less_on_rows_left_out_predicts(table: ElpasoliteTable, generator: Autoregressive) -> None:
    regression = RegressionEnergies(table, DesignSettings())
    best = best_energies(generator, table, DesignSettings())
    errors = [energies.summary()["mae_ev_per_atom"] for energies in (ClassEnergies(generator), regression)]
    assert best.summary()["mae_ev_per_atom"] == min(errors)
    # Ten updates teach a network nothing.
    hardly_trained = Autoregressive.fit(table, AutoregressiveSettings(members=2, folds=2, updates=10, width=8))
    assert isinstance(best_energies(hardly_trained, table, DesignSettings()), RegressionEnergies)


def test_a_generator_that_was_not_calibrated_needs_its_table(table: ElpasoliteTable) -> None:
    unready = Autoregressive.fit(table, AutoregressiveSettings(members=2, folds=2, updates=1, width=8))
    unready.calibration = {}
    with pytest.raises(GenerativeError, match="give the table that it was trained on"):
        design(unready, None, TARGET, 5)
