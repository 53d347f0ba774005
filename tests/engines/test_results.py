"""Files that engine scripts leave, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from aiida_perovskite.engines import ERROR_CODES, EngineError
from aiida_perovskite.engines.chgnet import parse_relax, relax_input
from aiida_perovskite.engines.gpaw import LEVELS, parse_gap

FIXTURES = Path(__file__).parent / "fixtures"
RELAX = (FIXTURES / "relax_Cs2AgInCl6.json").read_text()
GAP = (FIXTURES / "gap_Rb2AgAsBr6.json").read_text()
ARRAYS = (FIXTURES / "gap_Rb2AgAsBr6.npz").read_bytes()


def test_relaxation_is_read() -> None:
    result = parse_relax(RELAX)
    assert result.atoms.get_chemical_formula() == "AgCl6Cs2In"
    assert result.properties["a_angstrom"] == pytest.approx((4 * result.atoms.get_volume()) ** (1 / 3))
    assert result.properties["a_angstrom"] == pytest.approx(10.5757, abs=1e-3)  # the shipped dataset's row
    assert result.properties["space_group"] == "Fm-3m"
    assert {"chgnet", "torch", "ase"} <= set(result.properties["versions"])


def test_gap_is_read_and_bands_agree_with_the_gaps() -> None:
    result = parse_gap(GAP, ARRAYS)
    assert result.properties["gap_hse06_soc_ev"] == pytest.approx(1.4646, abs=0.02)  # the shipped dataset's row
    assert (result.properties["vbm_label"], result.properties["cbm_label"]) == ("X", "L")
    assert result.weights.sum() == pytest.approx(1)
    for level in LEVELS:
        bands = getattr(result, f"eigenvalues_{level}_ev")
        (occupied,) = result.n_occupied[level]
        assert bands[..., occupied - 1].max() == pytest.approx(0, abs=1e-9)
        assert bands[..., occupied].min() == pytest.approx(result.properties[f"raw_gap_{level}_ev"])
        assert np.all(np.diff(bands, axis=-1) >= 0)


def test_failed_density_is_reported_with_its_code() -> None:
    with pytest.raises(EngineError, match="raise max_scf_steps") as caught:
        parse_gap((FIXTURES / "gap_scf_not_converged.json").read_text(), b"")
    assert caught.value.code == "scf_not_converged"


@given(st.integers(0, len(GAP) - 1))
def test_truncated_results_are_an_error(length: int) -> None:
    with pytest.raises(EngineError, match="truncated"):
        parse_gap(GAP[:length], ARRAYS)


@given(st.integers(0, len(ARRAYS) - 1))
def test_truncated_arrays_are_an_error(length: int) -> None:
    with pytest.raises(EngineError, match=r"arrays\.npz"):
        parse_gap(GAP, ARRAYS[:length])


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_other_json_is_an_error(content: object) -> None:
    with pytest.raises(EngineError) as caught:
        parse_relax(json.dumps(content))
    assert caught.value.code in ERROR_CODES


@pytest.mark.parametrize("value", [None, "1.2", True, float("nan"), float("inf")])
def test_a_gap_that_is_no_number_is_an_error(value: object) -> None:
    content = json.loads(GAP)
    content["properties"]["gap_hse06_soc_ev"] = value
    with pytest.raises(EngineError, match="gap_hse06_soc_ev"):
        parse_gap(json.dumps(content), ARRAYS)


def test_bands_of_another_calculation_are_refused(tmp_path: Path) -> None:
    with np.load(FIXTURES / "gap_Rb2AgAsBr6.npz") as archive:
        arrays = dict(archive)
    arrays["kpoints"] = arrays["kpoints"][:-1]
    np.savez(tmp_path / "arrays.npz", **arrays)
    with pytest.raises(EngineError, match="do not fit"):
        parse_gap(GAP, (tmp_path / "arrays.npz").read_bytes())


def test_structures_no_engine_can_take_are_refused() -> None:
    with pytest.raises(EngineError, match="periodic"):
        relax_input(Atoms("Cs", cell=[4, 4, 4]), {})
    with pytest.raises(EngineError, match="finite"):
        relax_input(Atoms("Cs", positions=[[np.nan, 0, 0]], cell=[4, 4, 4], pbc=True), {})
