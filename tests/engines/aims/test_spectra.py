from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiida_perovskite.engines.aims.spectra import read_absorption, read_dielectric, read_dos
from aiida_perovskite.engines.results import EngineError

HBAR_C_EV_CM = 1.973269804e-5
CASES = ["dielectric_k12", "dielectric_omega5"]
NAME = "absorption_Gaussian_0.1000_{0}_{0}.out"


@pytest.fixture
def outputs(shared_folder: Path) -> Path:
    return shared_folder / "aims-outputs"


@pytest.mark.parametrize("name", CASES)
def test_absorption_and_dielectric_function_agree(outputs: Path, name: str) -> None:
    energies, alpha = read_absorption(outputs / name)
    dielectric_energies, epsilon = read_dielectric(outputs / name)
    assert alpha.shape == epsilon.shape == (len(energies), 3)
    np.testing.assert_allclose(energies, dielectric_energies, rtol=1e-4)  # printed with 5 and with 7 digits
    extinction = np.sqrt((np.abs(epsilon) - epsilon.real) / 2)
    expected = 2 * energies[:, None] / HBAR_C_EV_CM * extinction
    np.testing.assert_allclose(alpha, expected, rtol=2e-4, atol=1.0)
    assert alpha.max() > 1e6


def test_one_file_is_one_direction(outputs: Path) -> None:
    folder = outputs / "dielectric_k12"
    energies, alpha = read_absorption(folder / NAME.format("y"))
    np.testing.assert_array_equal(alpha, read_absorption(folder)[1][:, 1])
    assert (energies[0], energies[-1]) == (0.01, 14.925)
    assert read_dielectric(folder / "dielectric_function_Gaussian_0.1000_z_z.out")[1].dtype == complex


def absorption(values: str = "0.0 1.0 2.0") -> str:
    rows = [f"  {index}.0000E+000  {value}" for index, value in enumerate(values.split(), start=1)]
    return "# Gaussian broadening used, width        5.0000E-02 eV\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize("prefix", ["absorption_", "absorption_soc_"])
def test_names_with_and_without_soc(tmp_path: Path, prefix: str) -> None:
    for axis in "xyz":
        (tmp_path / f"{prefix}Gaussian_0.0500_{axis}_{axis}.out").write_text(absorption())
    energies, alpha = read_absorption(tmp_path, soc="soc" in prefix)
    assert energies.tolist() == [1.0, 2.0, 3.0]
    assert alpha.shape == (3, 3)
    with pytest.raises(EngineError, match="missing"):
        read_absorption(tmp_path, soc="soc" not in prefix)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("# only a head\n", "empty"),
        (absorption()[:-2], "cut off"),
        (absorption("0.0 x 2.0"), "damaged"),
        (absorption("0.0 inf 2.0"), "damaged"),
        (absorption("0.0 1.0,5 2.0"), "damaged"),
        (absorption() + "  0.5000E+000  1.0\n", "out of order"),
        (absorption() + "  9.5000E+000\n", "damaged"),
        (absorption("1.0") + "", None),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, text: str, message: str | None) -> None:
    path = tmp_path / NAME.format("x")
    path.write_text(text)
    if message is None:
        assert read_absorption(path)[1].tolist() == [1.0]
        return
    with pytest.raises(EngineError, match=message) as caught:
        read_absorption(path)
    assert caught.value.code == "crashed"


def test_a_missing_direction_and_a_second_broadening_are_told(tmp_path: Path) -> None:
    for axis in "xy":
        (tmp_path / NAME.format(axis)).write_text(absorption())
    with pytest.raises(EngineError, match="directions z are missing"):
        read_absorption(tmp_path)
    (tmp_path / NAME.format("z")).write_text(absorption("0.0 1.0"))
    with pytest.raises(EngineError, match="different energies"):
        read_absorption(tmp_path)
    (tmp_path / "absorption_Lorentzian_0.2000_x_x.out").write_text(absorption())
    with pytest.raises(ValueError, match="several broadenings"):
        read_absorption(tmp_path)


def test_a_dielectric_function_is_not_read_from_an_absorption_file(tmp_path: Path) -> None:
    path = tmp_path / NAME.format("x")
    path.write_text(absorption())
    with pytest.raises(EngineError, match="2 columns, not 9"):
        read_dielectric(path)


def test_real_densities_of_states(outputs: Path) -> None:
    folder = outputs / "spin_bands_fe"
    total, raw = read_dos(folder / "KS_DOS_total.dat"), read_dos(folder / "KS_DOS_total_raw.dat")
    assert total.columns == ("spin up", "spin down")
    assert (total.zero_ev, raw.zero_ev) == (-9.384221, None)
    np.testing.assert_allclose(total.energies_ev, raw.energies_ev, atol=1e-6)
    up = read_dos(folder / "atom_proj_dos_spin_upFe0001.dat")
    assert (up.species, up.atom, up.spin) == ("Fe", 1, "up")
    assert up.columns == ("total", "s", "p", "d", "f")
    # One atom in the cell: its projection is the whole.
    np.testing.assert_array_equal(up.densities_per_ev[0], total.densities_per_ev[0])
    np.testing.assert_allclose(up.densities_per_ev[1:].sum(axis=0), up.densities_per_ev[0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("atom_proj_dos_Se0003.dat", ("Se", 3, None)),
        ("atom_proj_dos_spin_dnBr0010_raw.dat", ("Br", 10, "dn")),
        ("Fe_l_proj_dos.dat", ("Fe", None, None)),
        ("Ag_l_proj_dos_spin_up_raw.dat", ("Ag", None, "up")),
        ("KS_DOS_total.dat", (None, None, None)),
    ],
)
def test_whose_density_it_is_stands_in_the_name(
    tmp_path: Path, name: str, expected: tuple[str | None, int | None, str | None]
) -> None:
    (tmp_path / name).write_text("# mu =  -1.5 eV\n 0.0 1.0\n 1.0 2.0\n")
    dos = read_dos(tmp_path / name)
    assert (dos.species, dos.atom, dos.spin) == expected
    assert dos.energies_ev.tolist() == [-1.5, -0.5]
    assert dos.columns == ("total",)
