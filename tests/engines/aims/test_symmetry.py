from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_perovskite.chemistry.composition import Composition
from aiida_perovskite.chemistry.prototype import prototype_atoms
from aiida_perovskite.engines.aims.symmetry import parametric_block, parametric_from_text, read_parametric


def prototype(a: float = 11.25, x: float = 0.249) -> Atoms:
    return prototype_atoms(Composition.parse("Cs2AgBiBr6"), lattice_angstrom=a, x_halide=x)


def space_group(cell: np.ndarray, fractions: np.ndarray, atoms: Atoms) -> int:
    import spglib

    dataset = spglib.get_symmetry_dataset((cell, fractions, atoms.numbers), symprec=1e-4)
    assert dataset is not None
    return int(dataset.number)


def test_the_block_of_a_double_perovskite() -> None:
    block = parametric_block(prototype())
    lines = block.text.splitlines()
    assert lines[:2] == ["symmetry_n_params 2 1 1", "symmetry_params a x"]
    assert lines[2] == "symmetry_lv 0.0 , a/2.0 , a/2.0"
    assert lines[5:9] == [f"symmetry_frac {s} , {s} , {s}" for s in ("0.25", "0.75", "0.0", "0.5")]
    assert lines[9] == "symmetry_frac 1.0-x , x , x"
    assert read_parametric(block.text) == block


@settings(max_examples=40)
@given(
    a=st.floats(8, 14),
    x=st.floats(0.2, 0.3).filter(lambda x: abs(x - 0.25) > 1e-3),  # at 1/4 the lattice is a finer one
    order=st.permutations(range(10)),
    shifts=st.lists(st.integers(-2, 2), min_size=30, max_size=30),
    noise=st.sampled_from([0.0, 1e-5]),
)
def test_any_order_and_any_wrapping(a: float, x: float, order: list[int], shifts: list[int], noise: float) -> None:
    atoms = prototype(a, x)[order]
    atoms.positions += np.reshape(shifts, (10, 3)) @ atoms.cell.array
    atoms.rattle(noise, seed=1)
    block = parametric_block(atoms)
    values = block.fit(atoms.cell.array, atoms.get_scaled_positions(wrap=False))
    assert values == pytest.approx({"a": a, "x": x}, abs=1e-4)
    cell, fractions = parametric_from_text(block.text, values)
    np.testing.assert_allclose(cell, atoms.cell.array, atol=1e-4)
    np.testing.assert_allclose(fractions, atoms.get_scaled_positions(wrap=False), atol=1e-4)
    changed = block.evaluate({"a": a * 1.02, "x": x + 0.01 if x > 0.25 else x - 0.01})
    assert space_group(*changed, atoms) == 225


def test_symmetry_survives_an_origin_and_an_orientation_of_ones_own() -> None:
    atoms = prototype()
    atoms.rotate(31, (1, 2, 3), rotate_cell=True)
    atoms.positions += [0.123456, 0.2, 0.3]
    block = parametric_block(atoms)
    assert (block.lattice_params, block.fraction_params) == (("a",), ("x",))
    values = block.fit(atoms.cell.array, atoms.get_scaled_positions(wrap=False))
    assert values["a"] == pytest.approx(11.25)
    assert space_group(*block.evaluate({**values, "a": 11.0, "x": values["x"] + 0.01}), atoms) == 225


def made_up(number: int, sites: dict[str, tuple[float, float, float]], *cell: float, primitive: bool = False) -> Atoms:
    return crystal(list(sites), list(sites.values()), spacegroup=number, cellpar=cell, primitive_cell=primitive)


# By number of the space group, in conventional and primitive cells.
CRYSTALS = {
    2: made_up(2, {"Cs": (0.11, 0.31, 0.23), "I": (0.42, 0.37, 0.71)}, 6, 7, 8, 80, 104, 95),
    4: made_up(4, {"Cs": (0.11, 0, 0.23), "I": (0.42, 0.37, 0.71)}, 6, 7, 8, 90, 104, 90),
    62: made_up(62, {"Cs": (0.02, 0.25, 0.49), "Pb": (0, 0, 0), "I": (0.47, 0.25, 0.05)}, 8, 11, 8.5, 90, 90, 90),
    87: made_up(
        87,
        {"Cs": (0, 0.5, 0.25), "Ag": (0, 0, 0), "Bi": (0, 0, 0.5), "Br": (0.22, 0.28, 0)},
        *(7.9, 7.9, 11.3, 90, 90, 90),
        primitive=True,
    ),
    136: made_up(136, {"Ti": (0, 0, 0), "O": (0.305, 0.305, 0)}, 4.6, 4.6, 2.95, 90, 90, 90),
    164: made_up(164, {"Cs": (1 / 3, 2 / 3, 0.31), "Bi": (0, 0, 0)}, 7, 7, 9, 90, 90, 120),
    167: made_up(167, {"Bi": (0, 0, 0.15), "I": (0.31, 0, 0.25)}, 8, 8, 20, 90, 90, 120, primitive=True),
    227: made_up(227, {"Si": (0, 0, 0)}, 5.43, 5.43, 5.43, 90, 90, 90, primitive=True),
}
# Parameters of the lattice, and of the sites (the table of Wyckoff positions; an origin left free counts too).
COUNTS = {62: (3, 4), 87: (2, 2), 164: (2, 1), 167: (2, 2), 136: (2, 1), 4: (4, 6), 2: (6, 6), 227: (1, 0)}


@pytest.mark.parametrize("number", CRYSTALS)
def test_any_space_group(number: int) -> None:
    atoms = CRYSTALS[number]
    fractions = atoms.get_scaled_positions(wrap=False)
    block = parametric_block(atoms)
    assert (len(block.lattice_params), len(block.fraction_params)) == COUNTS[number]
    values = block.check(atoms.cell.array, fractions)
    cell, again = parametric_from_text(block.text, values)
    np.testing.assert_allclose(cell, atoms.cell.array, atol=1e-8)
    np.testing.assert_allclose(again, fractions, atol=1e-8)
    rng = np.random.default_rng(number)
    changed = {name: value * (1 + 0.02 * rng.uniform()) for name, value in values.items()}
    assert space_group(*block.evaluate(changed), atoms) == number


def test_no_block_without_symmetry_or_sense() -> None:
    atoms = prototype()
    atoms.rattle(0.05, seed=1)
    with pytest.raises(ValueError, match="no symmetry"):
        parametric_block(atoms)
    atoms = prototype()
    atoms.positions[5] = atoms.positions[4]
    with pytest.raises(ValueError, match="coincide"):
        parametric_block(atoms)


def test_the_block_of_a_real_file(shared_folder: Path) -> None:
    block = read_parametric((shared_folder / "aims-outputs/parametric_symmetry_ceo2/geometry.in").read_text())
    cell, fractions = block.evaluate({"a": 5.708})
    np.testing.assert_allclose(cell, 2.854 * (1 - np.eye(3)), atol=1e-12)
    np.testing.assert_allclose(fractions[:, 0], [0, 0.25, 0.75], atol=1e-12)
    assert block.check(cell, fractions) == pytest.approx({"a": 5.708})


BLOCK = """symmetry_n_params 2 1 1
symmetry_params a x
symmetry_lv a , 0 , 0
symmetry_lv 0 , a , 0
symmetry_lv 0 , 0 , a
symmetry_frac {} , 0.0 , 0.0
"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("x", 0.2),
        ("-x", -0.2),
        ("1.0-x", 0.8),
        ("(1.0/2.0)*x + .5", 0.6),
        ("-(x-1)*2/4", 0.4),
        ("+x*3", 0.6),
        ("1e-1+x", 0.3),
    ],
)
def test_expressions(expression: str, value: float) -> None:
    _, fractions = parametric_from_text(BLOCK.format(expression), {"a": 5.0, "x": 0.2})
    assert fractions[0, 0] == pytest.approx(value)


@pytest.mark.parametrize(
    "expression",
    [
        "x*x",
        "1/x",
        "x/0",
        "y",
        "a",
        "x**2",
        "sin(x)",
        "__import__('os').getcwd()",
        "True",
        "'x'",
        "[x]",
        "x if x else 1",
        "x +",
        "(" * 400 + "x" + ")" * 90,
        "1e999",
        "1j",
        "9" * 400,
        "-" * 800 + "x",
    ],
)
def test_what_is_no_linear_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="symmetry constraint"):
        read_parametric(BLOCK.format(expression))


@given(st.text(alphabet="ax0123456789.+-*/() e", max_size=40))
def test_any_other_expression_is_refused_in_a_sentence(expression: str) -> None:
    try:
        _, fractions = parametric_from_text(BLOCK.format(expression), {"a": 5.0, "x": 0.2})
    except ValueError:
        return
    assert np.isfinite(fractions).all()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("symmetry_n_params 2 1 1\n", "", "`symmetry_n_params` is missing"),
        ("2 1 1", "2 1", "three whole numbers"),
        ("2 1 1", "3 1 1", "contradict"),
        ("params a x", "params a a", "contradict"),
        ("symmetry_lv 0 , 0 , a\n", "", "three `symmetry_lv`"),
        ("0 , 0 , a", "0 0 a", "commas"),
    ],
)
def test_malformed_blocks_are_refused(old: str, new: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_parametric(BLOCK.format("x").replace(old, new))


def test_a_parameter_without_value_or_use_is_refused() -> None:
    with pytest.raises(ValueError, match="x have no value"):
        parametric_from_text(BLOCK.format("x"), {"a": 5.0})
    with pytest.raises(ValueError, match="does not determine"):
        read_parametric(BLOCK.format("0.5")).fit(5 * np.eye(3), np.array([[0.5, 0.0, 0.0]]))
