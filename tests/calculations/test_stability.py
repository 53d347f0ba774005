"""Which phases compete, which of them are computed, and what their energies say, from node to node."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("aiida_profile")
METHOD = {"engine": "gpaw", "protocol": "0123", "functional": "PBE"}
SETTINGS = {
    "max_structures": 3,
    "max_above_hull_mev_per_atom": 25.0,
    "max_cost_mev_per_atom": 5.0,
}
# eV per atom. By hand: 2 CsCl + AgCl + BiCl3 have -12 - 6 - 10 eV, two tenths of an eV per atom above the compound.
ENERGIES = {"CsCl": -3.0, "AgCl": -3.0, "BiCl3": -2.5}
COMPOUND = -3.0


def known(*formulas: str, energies: dict[str, float] | None = None) -> Any:
    import pandas as pd

    from aiida_perovskite.data.table import CompositionTableData

    values = [(energies or {}).get(name, -1.0) for name in formulas]
    frame = pd.DataFrame({"formula": formulas, "formation_energy_ev_per_atom": values})
    return CompositionTableData.from_frame(frame, name="known")


def assess(energies: dict[str, float], sources: dict[str, str], **changes: Any) -> dict[str, Any]:
    from aiida.orm import Dict, Str

    from aiida_perovskite.calculations.stability import assess_stability

    phases = [{"formula": name, "source": source} for name, source in sources.items()]
    nodes = {f"energy_{name}": Dict({"energy_ev_per_atom": value, **METHOD}) for name, value in energies.items()}
    nodes |= {f"relaxed_{name}": Dict({"name": "rocksalt", "space_group": "Fm-3m"}) for name in energies}
    given = {
        "energy": Dict({"energy_ev_per_atom": COMPOUND, **METHOD}),
        "proposal": Dict({"phases": phases, "missing": [], "notes": []}),
        "choice": Dict({"chosen": list(energies), "skipped": []}),
        "failures": Dict({}),
        **nodes,
        **changes,
    }
    result: dict[str, Any] = assess_stability(Str("AgBiCs2Cl6"), **given).get_dict()
    return result


BINARIES = dict.fromkeys(ENERGIES, "binary")


def test_the_enthalpy_is_that_of_the_balanced_reaction() -> None:
    found = assess(ENERGIES, BINARIES)
    assert found["binary"]["mev_per_atom"] == pytest.approx(200)
    assert found["binary"]["products"] == pytest.approx({"CsCl": 2, "AgCl": 1, "BiCl3": 1})
    assert found["binary"]["verdict"] == "stable"
    assert found["hull"]["mev_per_atom"] == pytest.approx(200)
    assert [row["formula"] for row in found["phases"]] == list(ENERGIES)
    assert {found[key] for key in METHOD} == set(METHOD.values())


def test_a_ternary_makes_the_hull_steeper_than_the_binaries() -> None:
    # Cs3Bi2Cl9 of -3.2 eV per atom is 0.36 below its binaries: half of it lies in one formula unit of the compound.
    energies = {**ENERGIES, "Cs3Bi2Cl9": -3.2}
    found = assess(energies, {**BINARIES, "Cs3Bi2Cl9": "prototype"})
    assert found["binary"]["mev_per_atom"] == pytest.approx(200)
    products = 0.5 * 14 * -3.2 + 0.5 * 2 * -3.0 + 2 * -3.0
    assert found["hull"]["mev_per_atom"] == pytest.approx(1e3 * (products - 10 * COMPOUND) / 10)
    assert found["hull"]["verdict"] != "stable"


@pytest.mark.parametrize("part", ["engine", "protocol", "functional"])
def test_energies_of_two_methods_are_never_subtracted(part: str) -> None:
    from aiida.orm import Dict

    other = Dict({"energy_ev_per_atom": -3.0, **METHOD, part: "another"})
    with pytest.raises(ValueError, match=r"AgCl .*another.* cannot be compared; compute all phases with one"):
        assess(ENERGIES, BINARIES, energy_AgCl=other)


def test_a_phase_without_energy_leaves_no_number_but_a_reason() -> None:
    from aiida.orm import Dict

    without = {name: value for name, value in ENERGIES.items() if name != "AgCl"}
    found = assess(without, BINARIES, failures=Dict({"AgCl": "no energy: killed"}))
    for reaction in ("binary", "hull"):
        assert found[reaction]["mev_per_atom"] is None
        assert found[reaction]["verdict"] == "unknown"
        assert "AgCl" in found[reaction]["limit"]
    assert found["missing"] == [{"formula": "AgCl", "why": "no energy: killed"}]


def test_a_phase_that_was_skipped_is_not_missed() -> None:
    from aiida.orm import Dict

    skipped = [{"formula": "Cs3Bi2Cl9", "cost_mev_per_atom": 80.0}]
    found = assess(
        ENERGIES,
        {**BINARIES, "Cs3Bi2Cl9": "prototype"},
        choice=Dict({"chosen": list(ENERGIES), "skipped": skipped}),
    )
    assert found["hull"]["mev_per_atom"] == pytest.approx(200)
    assert found["skipped"] == skipped


def test_the_table_says_the_same_or_what_it_lacks() -> None:
    absent = assess(ENERGIES, BINARIES, known=known(*ENERGIES))
    assert "Cs2AgBiCl6 is not in the table" in absent["reference"]["limit"]
    formation = {**ENERGIES, "Cs2AgBiCl6": COMPOUND}
    there = assess(ENERGIES, BINARIES, known=known(*formation, energies=formation))
    assert there["reference"]["binary_mev_per_atom"] == pytest.approx(200)


def test_the_force_field_takes_out_what_no_decomposition_can_afford() -> None:
    from aiida.orm import Dict, Str

    from aiida_perovskite.calculations.stability import choose_phases

    names = {**BINARIES, "Cs3Bi2Cl9": "structure types"}
    proposal = Dict({"phases": [{"formula": name, "source": source} for name, source in names.items()]})
    binaries = (3 * 2 * -3.0 + 2 * 4 * -2.5) / 14  # of Cs3Bi2Cl9, eV per atom

    def choose(above_mev: float) -> dict[str, Any]:
        energies = {**ENERGIES, "Cs3Bi2Cl9": binaries + above_mev / 1e3}
        relaxed = {f"phase_{name}": Dict({"energy_ev_per_atom": value}) for name, value in energies.items()}
        found: dict[str, Any] = choose_phases(Str("AgBiCs2Cl6"), proposal, Dict(SETTINGS), **relaxed).get_dict()
        return found

    # At most 7 of the compound's 10 atoms can be Cs3Bi2Cl9; half of that costs 0.35 of what it lies above its binaries.
    assert choose(14.0) == {"chosen": list(names), "skipped": []}
    far = choose(15.0)
    assert far["chosen"] == list(ENERGIES)
    assert far["skipped"] == [{"formula": "Cs3Bi2Cl9", "cost_mev_per_atom": pytest.approx(5.25)}]


def test_only_phases_near_the_hull_of_the_table_are_offered() -> None:
    from aiida.orm import Dict, Str

    from aiida_perovskite.calculations.stability import propose_phases

    # Cs3BiCl6 lies above its binaries in this table, Cs3Bi2Cl9 on the hull; KCl shares too few elements.
    energies = {"CsCl": -2.0, "AgCl": -0.6, "BiCl3": -1.0, "Cs3Bi2Cl9": -1.6, "Cs3BiCl6": -1.0, "KCl": -2.0}
    table = known(*energies, energies=energies)
    found = propose_phases(Str("AgBiCs2Cl6"), Dict(SETTINGS), known=table, structures=Dict({"CsAgCl2": 1}))
    sources = {phase["formula"]: phase["source"] for phase in found["phases"]}
    assert set(sources) == {"CsCl", "AgCl", "BiCl3", "Cs3Bi2Cl9", "CsAgCl2"}
    assert sources["CsAgCl2"] == "user"
    assert found["notes"] == []
    assumed = propose_phases(Str("AgBiCs2Cl6"), Dict(SETTINGS))
    assert "was not looked up" in assumed["notes"][0]


def test_a_phase_without_a_small_structure_type_is_named_as_missing() -> None:
    from aiida.orm import Dict, Str

    from aiida_perovskite.calculations.stability import propose_phases, write_phases_input

    settings = Dict({**SETTINGS, "max_atoms": 16})
    found = propose_phases(Str("AgBiCs2Br6"), settings)
    offered = {phase["formula"] for phase in found["phases"]}
    assert {"Cs3Bi2Br9", "CsAgBr2", "CsAg2Br3", "CsBr", "AgBr", "BiBr3"} <= offered
    missing = {entry["formula"]: entry["why"] for entry in found["missing"]}
    assert "in a cell of at most 16 atoms" in missing["Cs2AgBr3"]
    assert "more than 16 atoms were not tried" in found["notes"][-1]
    given = propose_phases(Str("AgBiCs2Br6"), settings, structures=Dict({"Cs2AgBr3": 1}))
    assert "Cs2AgBr3" not in {entry["formula"] for entry in given["missing"]}, "one's own structure may be larger"
    written = write_phases_input(Str("Cs3Bi2Br9"), Dict({}), settings)
    sizes = [len(entry["structure"]["symbols"]) for entry in json.loads(written.get_content())["structures"]]
    assert sizes == [14], "Cs3Cr2Cl9 has 28"
