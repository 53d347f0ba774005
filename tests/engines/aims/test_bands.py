from __future__ import annotations

from pathlib import Path

import aims_stdout as stdout
import numpy as np
import pytest

from aiida_perovskite.engines.aims.bands import AimsBands, read_bands
from aiida_perovskite.engines.aims.output import AimsOutput, read_output
from aiida_perovskite.engines.results import EngineError

# folder, output, soc, segments, bands, gap and VBM on the path as the standard output prints them
CASES = [
    ("bands_si", "aims.out", False, 10, 25, 0.60083558, -5.65381520),
    ("ge_bands", "calculation.out", False, 10, 43, 0.00352270, -5.00515539),
    ("ge_soc_bands", "calculation.out", False, 10, 43, 0.00352270, -5.00515539),
    ("ge_soc_bands", "calculation.out", True, 10, 86, 0.02198044, -5.01790820),
    ("spin_bands_fe", "Fe_band_structure_dos_spin.out", False, 3, 19, 0.10925094, None),
]
# Two levels printed with 5 decimals.
PRINTED_EV = 1.1e-5


@pytest.fixture
def outputs(shared_folder: Path) -> Path:
    return shared_folder / "aims-outputs"


def output_of(folder: Path, file: str) -> AimsOutput:
    return read_output(folder / file)


@pytest.mark.parametrize(("name", "file", "soc", "n_segments", "n_bands", "gap", "vbm"), CASES)
def test_real_bands_lie_on_the_axis_of_the_output(
    outputs: Path, name: str, file: str, soc: bool, n_segments: int, n_bands: int, gap: float, vbm: float | None
) -> None:
    output = output_of(outputs / name, file)
    bands = read_bands(outputs / name, soc=soc, output=output)
    n_spin = output.n_spin if not soc else 1
    assert bands.eigenvalues_ev.shape == bands.occupations.shape == (n_spin, len(bands.kpoints), n_bands)
    assert len(bands.segments) == n_segments
    assert bands.segments[-1][1] == len(bands.kpoints)
    assert bands.gap_ev == pytest.approx(gap, abs=PRINTED_EV)
    if vbm is not None:
        assert bands.vbm_ev == pytest.approx(vbm, abs=PRINTED_EV)


def test_bands_with_and_without_spin_orbit_coupling_are_comparable(outputs: Path) -> None:
    folder = outputs / "ge_soc_bands"
    output = output_of(folder, "calculation.out")
    scalar, soc = (read_bands(folder, soc=soc, output=output) for soc in (False, True))
    assert (scalar.zero_ev, soc.zero_ev) == (-5.0024563, -5.0012414)
    np.testing.assert_array_equal(scalar.kpoints, soc.kpoints)
    # The 1s level does not split: its printed energies in both families are one level, on one axis.
    np.testing.assert_allclose(soc.eigenvalues_ev[0, :, 0], scalar.eigenvalues_ev[0, :, 0], atol=2e-5)
    # Without the zeros undone they differ by the zeros' difference.
    raw = [read_bands(folder, soc=soc).eigenvalues_ev[0, :, 0] for soc in (False, True)]
    np.testing.assert_allclose(raw[0] - raw[1], -5.0012414 + 5.0024563, atol=2e-5)


def test_the_scalar_bands_of_a_run_with_and_of_one_without_coupling_agree(outputs: Path) -> None:
    plain = read_bands(outputs / "ge_bands", output=output_of(outputs / "ge_bands", "calculation.out"))
    spins = read_bands(outputs / "ge_soc_bands", output=output_of(outputs / "ge_soc_bands", "calculation.out"))
    np.testing.assert_allclose(spins.eigenvalues_ev[1], plain.eigenvalues_ev[0], atol=2e-5)


def test_edges_lie_where_silicon_has_them(outputs: Path) -> None:
    bands = read_bands(outputs / "bands_si")
    assert bands.vbm_k == (0.0, 0.0, 0.0)
    # Between Gamma and X, on this coarse path at 9/11 of the way.
    assert bands.cbm_k == pytest.approx((0.4090909, 0.0, 0.4090909), abs=1e-6)
    assert bands.direct_gap_ev == pytest.approx(2.566, abs=0.01)


def test_the_same_numbers_as_pyfhiaims(outputs: Path) -> None:
    from pyfhiaims.outputs.bands import AimsBandFile

    for name, _, soc, *_ in CASES:
        bands = read_bands(outputs / name, soc=soc)
        first = AimsBandFile.from_file(outputs / name / f"band1001.out{'' if soc or 'soc' not in name else '.no_soc'}")
        start, stop = bands.segments[0]
        np.testing.assert_array_equal(bands.eigenvalues_ev[0, start:stop], first.eigenvalues)
        np.testing.assert_array_equal(bands.occupations[0, start:stop], first.occupations)
        np.testing.assert_array_equal(bands.kpoints[start:stop], first.kpoints)


LINE = "   {index}   0.{index}   0.0   0.0   2.00000   -1.{index}0000   0.00000   1.50000\n"
TEXTS = {f"band100{part}.out": "".join(LINE.format(index=index) for index in (1, 2, 3)) for part in (1, 2)}


def test_files_can_be_given_as_texts() -> None:
    bands = read_bands({**TEXTS, "aims.out": "x"})
    assert (bands.gap_ev, bands.vbm_ev, bands.vbm_k, bands.zero_ev) == (2.6, -1.1, (0.1, 0.0, 0.0), None)
    assert bands.segments == ((0, 3), (3, 6))


def test_without_a_chemical_potential_the_printed_edge_is_the_zero() -> None:
    path = '  "Band gap" of total set of bands:\n  | Highest occupied state :      -6.10000000 eV\n'
    text = (stdout.head() + stdout.cycle() + path).replace("| Chemical potential", "| other")
    bands = read_bands(TEXTS, output=read_output(text.splitlines(keepends=True)))
    assert (bands.zero_ev, bands.vbm_ev) == (-5.0, pytest.approx(-6.1))


def test_files_of_another_run_are_refused() -> None:
    path = '  "Band gap" of total set of bands:\n  | Highest occupied state :      -6.30000000 eV\n'
    output = read_output((stdout.head() + stdout.cycle() + path).splitlines(keepends=True))
    with pytest.raises(EngineError, match="not of one run"):
        read_bands(TEXTS, output=output)


def test_a_file_cut_between_lines_is_told_by_the_output() -> None:
    segments = "".join(f"  Treating all    3 k-points in band plot segment #   {part}:\n" for part in (1, 2))
    output = read_output((stdout.head() + stdout.cycle() + segments).splitlines(keepends=True))
    whole = read_bands(TEXTS, output=output)
    assert whole.zero_ev == -5.0024563
    cut = {**TEXTS, "band1002.out": "".join(TEXTS["band1002.out"].splitlines(keepends=True)[:2])}
    with pytest.raises(EngineError, match="cut"):
        read_bands(cut, output=output)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"band1002.out": TEXTS["band1002.out"][:-3]}, "cut off"),
        ({"band1002.out": ""}, "cut off"),
        ({"band1002.out": TEXTS["band1002.out"].replace("1.50000", "*******")}, "damaged"),
        ({"band1002.out": TEXTS["band1002.out"].replace("1.50000", "nan")}, "damaged"),
        ({"band1002.out": TEXTS["band1002.out"].replace("   0.00000   1.50000", "", 1)}, "damaged"),
        ({"band1002.out": TEXTS["band1002.out"].replace("   0.00000   1.50000", "")}, "different numbers"),
        ({"band1004.out": TEXTS["band1002.out"]}, r"segments \[1, 2, 4\]"),
        ({"band2001.out": TEXTS["band1001.out"]}, "band2002.out is missing"),
        ({"band1001.out": TEXTS["band1001.out"].replace("2.0", "0.0"), "band1002.out": None}, "no occupied"),
        ({"band1001.out": None, "band1002.out": None}, "missing"),
    ],
)
def test_damaged_files_are_refused(changes: dict[str, str | None], message: str) -> None:
    texts = {name: text for name, text in {**TEXTS, **changes}.items() if text is not None}
    with pytest.raises(EngineError, match=message) as caught:
        read_bands(texts)
    assert caught.value.code == "crashed"


def test_bands_without_coupling_are_not_taken_for_bands_with_it() -> None:
    with pytest.raises(EngineError, match="spin-orbit"):
        read_bands(TEXTS, soc=True)


def test_overlapping_bands_have_no_gap() -> None:
    kpoints = np.zeros((2, 3))
    energies = np.array([[[-1.0, 0.5], [0.2, 1.0]]])
    occupations = np.array([[[2.0, 2.0], [0.0, 0.0]]])
    bands = AimsBands(kpoints, ((0, 2),), energies, occupations, None, soc=False)
    assert bands.gap_ev == 0.0
