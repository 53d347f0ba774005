from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_species import species_text

from aiida_perovskite.engines.aims.control import (
    RESERVED,
    band_line,
    check_expert,
    control_text,
    dielectric_lines,
    dos_lines,
    read_control,
)

# The settings of the thesis (SPEC 2.4), as the plugin gives them.
COMMON = {
    "xc": "hse06 0.11",
    "hse_unit": "bohr-1",
    "spin": "none",
    "relativistic": "atomic_zora scalar",
    "k_grid": [4, 4, 4],
    "sc_accuracy_rho": 1e-6,
    "sc_accuracy_etot": 1e-6,
    "sc_iter_limit": 200,
}
RELAX = COMMON | {"relax_geometry": ["trm", 1e-2], "relax_unit_cell": "full", "max_relaxation_steps": 100}
GAP = COMMON | {
    "spin": "collinear",
    "default_initial_moment": 0.0,
    "include_spin_orbit": "non_self_consistent",
    "exx_band_structure_version": 1,
}
G, X, W, L, K = (0, 0, 0), (0.5, 0, 0.5), (0.5, 0.25, 0.75), (0.5, 0.5, 0.5), (0.375, 0.375, 0.75)
PATH = [("G", G, "X", X), ("X", X, "W", W), ("W", W, "L", L), ("L", L, "G", G), ("G", G, "K", K)]
BANDS = [band_line(start, end, 41, (name, other)) for name, start, other, end in PATH]
CALCULATIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "1_relax_parametric": (RELAX, []),
    "1b_relax_unconstrained": (RELAX, []),
    "2_gap_soc_bands": (GAP, BANDS),
    "3_dielectric": (COMMON | {"k_grid": [8, 8, 8]}, dielectric_lines("compute_dielectric", 10.0, 1000, 0.05)),
}


def meaning(words: str) -> list[float | str]:
    """The words of a line, numbers as numbers."""

    def number(word: str) -> float | str:
        try:
            return float(word)
        except ValueError:
            return word

    return [number(word) for word in words.split()]


@pytest.mark.parametrize("name", CALCULATIONS)
def test_says_what_the_reference_inputs_say(shared_folder: Path, name: str) -> None:
    theirs = read_control((shared_folder / "aims-outputs/inputs_cs2agbibr6" / name / "control.in").read_text())
    ours = read_control(control_text(*CALCULATIONS[name], {"Br": species_text("Br")}))
    assert {key: meaning(str(value)) for key, value in ours.keywords.items()} == {
        key: meaning(str(value)) for key, value in theirs.keywords.items()
    }
    assert [meaning(line) for line in ours.outputs] == [meaning(line) for line in theirs.outputs]


def test_pyfhiaims_reads_the_same() -> None:
    from pyfhiaims.control import AimsControl

    species = {element: species_text(element) for element in ("Cs", "Br")}
    text = control_text(GAP, BANDS, species)
    other, ours = AimsControl.from_strings(text), read_control(text)
    assert other.parameters == ours.keywords
    assert [f"output {line}" for line in other.outputs] == list(ours.outputs)
    assert {label: block.nucleus for label, block in other.species_defaults.items()} == {"Cs": 55, "Br": 35}


def test_species_stand_in_it_verbatim() -> None:
    species = {"Cs": species_text("Cs"), "Br": "\n# a heading\n" + species_text("Br") + "# the end\n\n"}
    text = control_text(COMMON, [], species)
    assert all(block in text for block in species.values())
    assert read_control(text).species == species


def test_the_text_depends_on_nothing_but_the_settings() -> None:
    """Neither on the order in which a database returns a dictionary, nor on day or folder."""
    species = {"Cs": species_text("Cs"), "Br": species_text("Br")}
    turned = control_text(dict(reversed(GAP.items())), BANDS, dict(reversed(species.items())))
    assert turned == control_text(GAP, BANDS, species)


def test_values_as_fortran_reads_them() -> None:
    keywords = {
        "use_density_matrix": True,
        "override_illconditioning": False,
        "charge_mix_param": 0.05,
        "sc_accuracy_rho": 1e-7,
        "occupation_type": ["gaussian", 0.01],
        "plus_u_matrix_control": "",
        "preconditioner": [["kerker", 1.5], ["turnoff", "charge", 1e-4]],
    }
    text = control_text(keywords, [], {})
    assert [line.split() for line in text.splitlines()] == [
        ["sc_accuracy_rho", "1e-07"],
        ["occupation_type", "gaussian", "0.01"],
        ["charge_mix_param", "0.05"],
        ["override_illconditioning", ".false."],
        ["plus_u_matrix_control"],
        ["preconditioner", "kerker", "1.5"],
        ["preconditioner", "turnoff", "charge", "0.0001"],
        ["use_density_matrix", ".true."],
    ]
    assert control_text(read_control(text).keywords, [], {}) == text


@pytest.mark.parametrize("keyword", RESERVED)
def test_reserved_keywords_are_refused_in_any_case(keyword: str) -> None:
    for spelling in (keyword, keyword.upper()):
        with pytest.raises(ValueError, match=f"{spelling}' cannot be given here: {RESERVED[keyword][:20]}"):
            check_expert({spelling: "1"})


def test_expert_keywords_pass() -> None:
    check_expert({"charge_mix_param": 0.05, "n_max_pulay": 8, "RI_method": "LVL_fast"})


@pytest.mark.parametrize("keyword", ["", "k grid", "xc\nspin", "xc#", "4x", "größe", "output"])
def test_what_is_no_keyword_is_refused(keyword: str) -> None:
    with pytest.raises(ValueError, match="keyword"):
        control_text({keyword: 1}, [], {})


@pytest.mark.parametrize(
    "value",
    [
        "pbe\nspin none",
        "pbe # none",
        "pbe\0",
        "pbe\x1b",
        "größe",
        float("nan"),
        float("inf"),
        None,
        {"a": 1},
        [None],
        [],
    ],
)
def test_what_is_no_value_is_refused(value: Any) -> None:
    for write in (check_expert, lambda keywords: control_text(keywords, [], {})):
        with pytest.raises(ValueError, match="cannot be the value of 'xc'"):
            write({"xc": value})


@pytest.mark.parametrize("line", ["", "spin none", "output band\nspin none", "output dos # 1"])
def test_what_asks_for_no_result_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"asks for no result|cannot be the value"):
        control_text({}, [line], {})


@given(
    st.dictionaries(
        st.text("xc_K4\n# ", min_size=1, max_size=4), st.text("spin no#\n\t\r\u2028.5", max_size=12), max_size=3
    )
)
def test_no_expert_keyword_smuggles_in_a_line(keywords: dict[str, str]) -> None:
    try:
        check_expert(keywords)
        text = control_text(keywords, [], {})
    except ValueError:
        return
    assert read_control(text).keywords == {key: " ".join(value.split()) for key, value in keywords.items()}


def test_a_species_text_must_be_that_of_its_element() -> None:
    with pytest.raises(ValueError, match="given for Cs is that of Br"):
        control_text({}, [], {"Cs": species_text("Br")})


@pytest.mark.parametrize("between", ["", "# a heading\n"])
def test_a_file_that_another_program_wrote(between: str) -> None:
    text = f"xc pbe  # functional\n\nspin none\noutput  dos 0 1 2 3\n{between}" + between.join(
        species_text(element) for element in ("Cs", "Br")
    )
    keywords, outputs, species = read_control(text)
    assert keywords == {"xc": "pbe", "spin": "none"}
    assert outputs == ("output dos 0 1 2 3",)
    assert sorted(species) == ["Br", "Cs"]
    assert all("cut_pot" in block and block.count("nucleus") == 1 for block in species.values())
    with pytest.raises(ValueError, match="'Cs' twice"):
        read_control(text + species_text("Cs"))


def test_lines_that_ask_for_results() -> None:
    assert band_line((0, 0, 0), (1 / 3, -0.0, 0.5), 21, ("G", "K")) == (
        "output band 0.00000000 0.00000000 0.00000000 0.33333333 0.00000000 0.50000000 21 G K"
    )
    assert dielectric_lines("output_dielectric", 10, 1000, 0.05) == [
        "compute_dielectric 10.0 1000",
        "output dielectric gaussian 0.05 x x",
        "output dielectric gaussian 0.05 y y",
        "output dielectric gaussian 0.05 z z",
    ]
    assert dos_lines(-15, -5, 200, 0.1)[1] == "output atom_proj_dos -15.0 -5.0 200 0.1"


@pytest.mark.parametrize(
    "call",
    [
        lambda: band_line((0, 0, 0), (0.5, 0, float("nan")), 21, ("G", "X")),
        lambda: band_line((0, 0), (0.5, 0), 21, ("G", "X")),
        lambda: band_line((0, 0, 0), (0.5, 0, 0.5), 1, ("G", "X")),
        lambda: band_line((0, 0, 0), (0.5, 0, 0.5), 21, ("G", "X point")),
        lambda: dielectric_lines("compute_dielectric", 10, 0, 0.05),
        lambda: dielectric_lines("compute_dielectric", 10, 1000, float("nan")),
        lambda: dielectric_lines("dielectric", 10, 1000, 0.05),
        lambda: dos_lines(5, -5, 200, 0.1),
        lambda: dos_lines(-5, 5, 200, 0.1, ["pdos"]),
    ],
)
def test_requests_that_mean_nothing_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"needs|choose from"):
        call()
