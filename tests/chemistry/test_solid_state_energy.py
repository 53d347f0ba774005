"""Gaps from solid-state energies, against what can be worked out by hand from SMACT's tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aiida_perovskite.chemistry import SolidStateEnergies, gaps_of_sites, solid_state_energies, sse_gap


def table(**energies_ev: float) -> SolidStateEnergies:
    return SolidStateEnergies(tuple(energies_ev), np.array(list(energies_ev.values())))


def test_smact_tables() -> None:
    energies = solid_state_energies()
    values = dict(zip(energies.symbols, energies.energies_ev.tolist(), strict=True))
    assert (values["Ag+1"], values["In+3"], values["Br-1"]) == (-4.1, -4.53, -7.12)
    assert values["In"] == -4.6
    assert dict(zip(energies.symbols, energies.sources, strict=True))["In"] == "2011"
    assert len(energies.symbols) == 78 + 40
    elements = solid_state_energies(("2015", "2011", "pauling"), by_oxidation_state=False)
    values = dict(zip(elements.symbols, elements.energies_ev.tolist(), strict=True))
    assert (values["Ag"], values["Li"], values["Au"]) == (-4.1, 1.67, -5.51)
    with pytest.raises(ValueError, match="no SSE table '2012'; choose from 2015, 2011, pauling"):
        solid_state_energies(("2012",))


def test_gap_of_a_halide_by_hand() -> None:
    """Ag+ (-4.10) lies below Bi3+ (-4.33)? No: Bi3+ makes the conduction band, Br- (-7.12) the valence band."""
    gaps = sse_gap(["Cs2AgBiBr6", "Br6Cs2BiAg"])
    np.testing.assert_allclose(gaps.gap_ev, -4.33 + 7.12)
    np.testing.assert_allclose(gaps.cbm_ev, -4.33)
    np.testing.assert_allclose(gaps.vbm_ev, -7.12)
    assert gaps.reason.tolist() == ["", ""]


def test_an_anti_perovskite_has_its_cation_on_d() -> None:
    """In Ca6Sn2NF the metal on D and tin are the cations, nitrogen makes the valence band."""
    gaps = sse_gap(["Ca6Sn2NF"])
    np.testing.assert_allclose(gaps.cbm_ev, -4.26)
    np.testing.assert_allclose(gaps.vbm_ev, -7.0)


def test_ions_of_one_element_differ_and_the_element_stands_in() -> None:
    energies = table(**{"Sn+2": -3.0, "Sn+4": -4.0, "Sn": -1.0, "Cs": 0.0, "Cl": -8.0, "Ge": -2.0, "K": 0.5, "O": -7.0})
    sites = energies.site_energies(["Cs2GeSnCl6", "K2GeSnO6"])
    np.testing.assert_array_equal(sites[0], [-2.0, -3.0, 0.0, -8.0])
    assert energies.element_indices([])[:, 0].shape == (0,)


def test_what_is_not_known_is_nan_and_says_why() -> None:
    gaps = sse_gap(["Cs2AgReCl6", "Cs2AgBiBr6"], table(Cs=0.0, Cl=-8.0, Ag=-4.0, Bi=-4.3, Br=-7.0))
    assert np.isnan([gaps.gap_ev[0], gaps.vbm_ev[0], gaps.cbm_ev[0]]).all()
    assert gaps.reason.tolist() == ["no solid-state energy of Re", ""]
    assert gaps.gap_ev[1] == pytest.approx(2.7)


def test_one_side_alone_makes_no_gap() -> None:
    gaps = gaps_of_sites([[-5.0, -6.0, -7.0, -8.0], [-4.0, -3.0, -2.0, -1.0], [-4.5, -4.4, 0.0, -7.0]])
    assert gaps.reason.tolist() == ["no cation: no site above -4.5 eV", "no anion: all sites above -4.5 eV", ""]
    assert np.isnan(gaps.gap_ev[:2]).all()
    # At the threshold itself a site is an anion.
    assert gaps.gap_ev[2] == pytest.approx(0.1)


def test_charges_may_decide_instead() -> None:
    gaps = gaps_of_sites([[-4.1, -4.53, 0.6, -7.1]], is_cation=[[True, True, True, False]])
    assert gaps.gap_ev[0] == pytest.approx(7.1 - 4.53)
    assert gaps_of_sites([[-1.0, 0.0]], is_cation=[[True, True]]).reason[0] == "no anion"
    with pytest.raises(ValueError, match="both must be"):
        gaps_of_sites([[-1.0, 0.0]], is_cation=[True, False])


@given(arrays(np.float64, (7, 4), elements=st.floats(-15, 5)))
def test_gaps_are_never_negative_and_blind_to_the_order_of_sites(energies: np.ndarray) -> None:
    gaps = gaps_of_sites(energies)
    assert (gaps.gap_ev[gaps.reason == ""] >= 0).all()
    assert (np.isnan(gaps.gap_ev) == (gaps.reason != "")).all()
    np.testing.assert_array_equal(gaps.gap_ev, gaps_of_sites(energies[:, [1, 0, 2, 3]]).gap_ev)
    for row, energy in enumerate(energies):
        cations, anions = energy[energy > -4.5], energy[energy <= -4.5]
        if cations.size and anions.size:
            assert gaps.gap_ev[row] == cations.min() - anions.max()


@pytest.mark.parametrize(
    ("symbols", "energies", "words"),
    [
        (("Ag", "Cs"), [1.0], "2 symbols need as many energies"),
        (("Ag", "Ag"), [1.0, 2.0], "stands twice"),
        (("Ag",), [np.nan], "no finite number"),
    ],
)
def test_tables_that_will_not_do(symbols: tuple[str, ...], energies: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SolidStateEnergies(symbols, np.array(energies))
