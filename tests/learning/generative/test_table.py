"""The training table: duplicates, classes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiida_perovskite.datasets import load_elpasolites_as_stored
from aiida_perovskite.learning.generative.distributions import js_distance, site_distribution
from aiida_perovskite.learning.generative.space import GenerativeError, code_of, swap
from aiida_perovskite.learning.generative.table import ElpasoliteTable, check_class, energy_classes
from aiida_perovskite.learning.generative.testing import small_table

ROWS = [("Na", "Al", "K", "F"), ("Al", "Na", "K", "F"), ("Li", "Ga", "Cs", "Cl"), ("O", "C", "Xe", "Sb")]
ENERGIES = [-3.0, -3.1, -2.0, 1.0]


def from_rows(rows: list[tuple[str, ...]], energies: list[float], **options: object) -> ElpasoliteTable:
    return ElpasoliteTable.from_rows(*zip(*rows, strict=True), energies, **options)  # type: ignore[arg-type]


def test_of_a_compound_given_twice_the_lower_energy_stays_and_both_orders_are_made() -> None:
    table = from_rows(ROWS, ENERGIES)
    assert table.n_compounds == 3
    assert dict(zip(table.codes.tolist(), table.energies_ev_per_atom.tolist(), strict=True)) == {
        **{code_of("Na", "Al", "K", "F"): -3.1, code_of("Al", "Na", "K", "F"): -3.1},
        **{code_of("Li", "Ga", "Cs", "Cl"): -2.0, code_of("Ga", "Li", "Cs", "Cl"): -2.0},
        **{code_of("O", "C", "Xe", "Sb"): 1.0, code_of("C", "O", "Xe", "Sb"): 1.0},
    }
    assert table.rows_as_stored.energies_ev_per_atom.tolist() == ENERGIES
    assert table.classes.tolist() == [1, 3, 10] * 2
    single = from_rows(ROWS, ENERGIES, both_orders=False)
    assert not single.both_orders
    assert sorted(single.codes) == sorted(
        [code_of("Al", "Na", "K", "F"), code_of("Li", "Ga", "Cs", "Cl"), code_of("O", "C", "Xe", "Sb")]
    )


def test_the_published_table_has_the_published_classes(shared_folder: Path) -> None:
    file = shared_folder / "data/elpasolite-prl2016/elpasolite_prl2016_10590.csv"
    frame = load_elpasolites_as_stored(file).frame
    table = ElpasoliteTable.from_rows(*(frame[site] for site in "abcd"), frame["formation_energy_ev_per_atom"])
    assert len(table.rows_as_stored.codes) == 10_590
    assert (table.n_compounds, len(table.codes)) == (10_556, 21_112)
    assert table.counts.tolist() == [86, 270, 984, 4688, 9650, 3446, 1200, 566, 186, 36]


def test_classes_are_closed_at_both_ends_and_clipped_beyond() -> None:
    edges = np.linspace(0.0, 10.0, 11)
    energies = [-5.0, 0.0, 0.999, 1.0, 9.999, 10.0, 15.0]
    assert energy_classes(energies, edges).tolist() == [1, 1, 1, 2, 10, 10, 10]
    with pytest.raises(GenerativeError, match="11 ascending numbers"):
        energy_classes(energies, edges[::-1])


def test_a_subset_keeps_the_edges_and_whole_compounds() -> None:
    table = small_table()
    part = table.subset(50, seed=1)
    assert part.n_compounds == 50
    assert np.array_equal(part.edges, table.edges)
    assert set(part.codes) <= set(table.codes)
    assert set(swap(part.codes)) == set(part.codes)
    assert np.array_equal(part.codes, table.subset(50, seed=1).codes)
    assert part.sha256 != table.subset(50, seed=2).sha256
    with pytest.raises(GenerativeError, match="401 compounds cannot be drawn: the table holds 400"):
        table.subset(401, seed=0)


def test_shuffled_energies_stay_the_same_for_both_orders() -> None:
    table = small_table()
    shuffled = table.with_shuffled_energies(0)
    assert sorted(shuffled.energies_ev_per_atom) == sorted(table.energies_ev_per_atom)
    assert shuffled.counts.tolist() == table.counts.tolist()
    of_code = dict(zip(shuffled.codes.tolist(), shuffled.energies_ev_per_atom.tolist(), strict=True))
    assert all(of_code[code] == of_code[other] for code, other in zip(of_code, swap(list(of_code)), strict=True))
    assert (shuffled.energies_ev_per_atom != table.energies_ev_per_atom).mean() > 0.9
    stored = dict(zip(*map(np.ndarray.tolist, shuffled.rows_as_stored), strict=True))
    assert len(stored) == 400
    assert all(of_code[code] == energy for code, energy in stored.items())


def test_rows_that_will_not_do_are_named() -> None:
    with pytest.raises(GenerativeError, match=r"Row 2 \(and 1 more\) .*KAlK2F6 has an element on two sites"):
        from_rows([ROWS[0], ("K", "Al", "K", "F"), ("Ag", "Al", "K", "F")], [0.0, 1.0, 2.0])
    with pytest.raises(GenerativeError, match="1 rows have no formation energy, the first are 3"):
        from_rows(ROWS, [-3.0, -3.1, np.nan, 1.0])
    with pytest.raises(GenerativeError, match="4, 4, 4, 4 rows, the energies 3"):
        from_rows(ROWS, ENERGIES[:3])
    with pytest.raises(GenerativeError, match="at least two rows with different"):
        from_rows(ROWS[:1], [1.0])


def test_classes_that_are_not_there_are_refused() -> None:
    table = from_rows(ROWS, ENERGIES)
    assert len(table.codes_of_class(1)) == 2
    with pytest.raises(GenerativeError, match="class 2 is empty in the training table: choose from 1, 3, 10"):
        table.codes_of_class(2)
    with pytest.raises(GenerativeError, match="no energy class 11"):
        table.codes_of_class(11)
    with pytest.raises(GenerativeError, match="must be a whole number"):
        check_class(1.5, table.counts)  # type: ignore[arg-type]


def test_js_distance_of_distributions_known_by_hand() -> None:
    """Equal: 0; disjoint: 1; one site of four apart: 1/4; halves against a whole: sqrt(1 - 3/4 log2 3 + 1/2)."""
    one = site_distribution([code_of("Na", "Al", "K", "F")])
    other = site_distribution([code_of("Li", "Ga", "Cs", "Cl")])
    assert js_distance(one, one) == 0
    assert js_distance(one, other) == pytest.approx(1)
    assert js_distance(one, site_distribution([code_of("Na", "Al", "K", "Cl")])) == pytest.approx(0.25)
    mixed = site_distribution([code_of("Na", "Al", "K", "F"), code_of("Li", "Ga", "Cs", "Cl")])
    assert js_distance(mixed, one) == js_distance(one, mixed) == pytest.approx(np.sqrt(1.5 - 0.75 * np.log2(3)))
    assert np.isnan(js_distance(one, site_distribution([])))
