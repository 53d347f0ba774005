"""Species defaults: one node per element, a family that never changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from invented_species import species_folder, species_text

LEVEL = "defaults_2020/light"


def test_round_trip_and_what_can_be_queried(aiida_profile_clean: Any) -> None:
    from aiida.orm import QueryBuilder, load_node

    from aiida_perovskite.data.species import SpeciesDefaultsData

    node = SpeciesDefaultsData.from_text(species_text("Bi"), LEVEL).store()
    again = load_node(node.pk)
    assert isinstance(again, SpeciesDefaultsData)
    assert again.text == species_text("Bi")
    assert (again.element, again.level) == ("Bi", LEVEL)
    wanted = {"attributes.element": "Bi", "attributes.level": LEVEL, "attributes.tiers": {"has_key": "first"}}
    found = QueryBuilder().append(SpeciesDefaultsData, filters=wanted)
    assert found.all(flat=True) == [node]


def test_one_changed_byte_changes_the_hash(aiida_profile_clean: Any) -> None:
    from aiida_perovskite.data.species import SpeciesDefaultsData

    text = species_text("Br")
    node = SpeciesDefaultsData.from_text(text, LEVEL).store()
    twin = SpeciesDefaultsData.from_text(text, LEVEL).store()
    # Within a comment: whether it matters is not for the provenance to judge.
    changed = SpeciesDefaultsData.from_text(text.replace("no atom", "no atoM"), LEVEL).store()
    assert len(changed.text) == len(text)
    assert twin.base.caching.compute_hash() == node.base.caching.compute_hash()
    assert changed.base.caching.compute_hash() != node.base.caching.compute_hash()
    # Where a text came from is part of what it is.
    tight = SpeciesDefaultsData.from_text(text, "defaults_2020/tight").store()
    assert tight.base.caching.compute_hash() != node.base.caching.compute_hash()


def test_a_node_whose_attributes_are_not_its_text_is_not_stored(aiida_profile_clean: Any) -> None:
    import io

    from aiida.common.exceptions import ValidationError

    from aiida_perovskite.data.species import SpeciesDefaultsData

    node = SpeciesDefaultsData.from_text(species_text("Br"), LEVEL)
    node.base.attributes.set("element", "Cl")
    with pytest.raises(ValidationError, match="not those of its text"):
        node.store()
    with pytest.raises(ValidationError, match="from_text"):
        SpeciesDefaultsData(io.BytesIO(b"anything")).store()


def test_texts_that_atoms_could_not_refer_to_are_refused(aiida_profile_clean: Any) -> None:
    from aiida_perovskite.data.species import SpeciesDefaultsData

    with pytest.raises(ValueError, match="labelled Br_light, not Br"):
        SpeciesDefaultsData.from_text(species_text("Br").replace("   Br", "   Br_light"), LEVEL)


@pytest.fixture
def family(aiida_profile_clean: Any, tmp_path: Path) -> Any:
    from aiida_perovskite.data.species import SpeciesFamily, species_of_folder

    return SpeciesFamily.create(LEVEL, species_of_folder(species_folder(tmp_path / "light"), LEVEL))


def test_a_family_gives_the_species_of_a_structure(family: Any) -> None:
    from aiida.orm import StructureData, load_group

    from aiida_perovskite.chemistry.composition import Composition
    from aiida_perovskite.chemistry.prototype import prototype_atoms

    found = load_group(LEVEL)
    assert type(found) is type(family)
    structure = StructureData(ase=prototype_atoms(Composition.parse("Cs2AgBiBr6")))
    species = found.species_for(structure)
    assert {element: node.text for element, node in species.items()} == {
        element: species_text(element) for element in ("Ag", "Bi", "Br", "Cs")
    }
    other = StructureData(ase=prototype_atoms(Composition.parse("Cs2AgInCl6")))
    with pytest.raises(ValueError, match=r"has no Cl, In: .*`aiida-perovskite setup species DIR --label LABEL`"):
        found.species_for(other)
    with pytest.raises(ValueError, match="has no H:"):
        found.get_species("H")


def test_a_family_never_changes(family: Any) -> None:
    from aiida.common.exceptions import ModificationNotAllowed

    from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily

    node = SpeciesDefaultsData.from_text(species_text("H"), LEVEL).store()
    with pytest.raises(ModificationNotAllowed):
        family.add_nodes([node])
    with pytest.raises(ModificationNotAllowed):
        family.remove_nodes([family.get_species("Cs")])
    with pytest.raises(ModificationNotAllowed):
        family.clear()
    with pytest.raises(ValueError, match="exists and never changes"):
        SpeciesFamily.create(LEVEL, [node])
    with pytest.raises(ValueError, match="two species of H"):
        SpeciesFamily.create("mine", [node, SpeciesDefaultsData.from_text(species_text("H", "2.0"), LEVEL)])
    assert sorted(family.checksums) == ["Ag", "Bi", "Br", "Cs"]


def test_a_family_is_made_whole_or_not_at_all(aiida_profile_clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiida.orm import Group, Node, QueryBuilder

    from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily

    def broken(*arguments: Any) -> None:
        raise OSError("the disk is full")

    nodes = [SpeciesDefaultsData.from_text(species_text("H"), LEVEL)]
    with monkeypatch.context() as patch:
        patch.setattr(Group, "add_nodes", broken)
        with pytest.raises(OSError, match="the disk is full"):
            SpeciesFamily.create(LEVEL, nodes)
    assert SpeciesFamily.find(LEVEL) is None
    assert QueryBuilder().append(Node).count() == 0
    again = SpeciesFamily.create(LEVEL, [SpeciesDefaultsData.from_text(species_text("H"), LEVEL)])
    assert list(again.species) == ["H"]


def test_equal_nodes_are_used_again(family: Any, tmp_path: Path) -> None:
    from aiida.orm import QueryBuilder

    from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily, species_of_folder

    folder = species_folder(tmp_path / "again", "Cs Cl")
    other = SpeciesFamily.create("mine", species_of_folder(folder, LEVEL))
    assert other.get_species("Cs").uuid == family.get_species("Cs").uuid
    assert QueryBuilder().append(SpeciesDefaultsData).count() == 5


def test_a_file_of_another_element_is_named(aiida_profile_clean: Any, tmp_path: Path) -> None:
    from aiida_perovskite.data.species import species_of_folder

    folder = species_folder(tmp_path / "light")
    (folder / "35_Br_default").write_text(species_text("Cl"))
    with pytest.raises(ValueError, match="35_Br_default holds a species of Cl, not of Br"):
        species_of_folder(folder, LEVEL)
    assert [node.element for node in species_of_folder(folder, LEVEL, ["Cs", "Ag"])] == ["Ag", "Cs"]
    with pytest.raises(ValueError, match="no species file of I; it has Ag, Bi, Br, Cs"):
        species_of_folder(folder, LEVEL, ["I"])
