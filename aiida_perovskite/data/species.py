"""Species defaults of FHI-aims as nodes, and families of them as groups."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from aiida.common.exceptions import ModificationNotAllowed, ValidationError
from aiida.manage import get_manager
from aiida.orm import Group, QueryBuilder, SinglefileData
from aiida.orm.pydantic import OrmMetadataField

from aiida_perovskite.engines.aims.species import find_species, read_species, read_species_file

if TYPE_CHECKING:
    from aiida.orm import StructureData

FILENAME = "species_default"  # one name for all: the name is part of the hash by which caching finds equal nodes


class SpeciesDefaultsData(SinglefileData):
    """The text of one species block, as the user's FHI-aims distribution holds it.

    As an input of a calculation it carries the basis set into the provenance: one changed byte makes another hash.
    """

    _text: str | None = None

    class AttributesModel(SinglefileData.AttributesModel):
        """What is queryable."""

        element: str = OrmMetadataField(description="Symbol of the element")
        species: str = OrmMetadataField(description="Label by which the geometry refers to it")
        nucleus_charge: int = OrmMetadataField(description="Charge of the nucleus")
        level: str = OrmMetadataField(description="Where it is from, e.g. defaults_2020/light")
        tiers: dict[str, list[str]] = OrmMetadataField(description="Basis functions in use, by tier")
        sha256: str = OrmMetadataField(description="Digest of the text")

    @classmethod
    def from_text(cls, text: str, level: str) -> SpeciesDefaultsData:
        """Return an unstored node of the text of one species block; ``level`` says where it is from.

        Raises
        ------
        ValueError
            If the text is no species block, its label is not its element's symbol, or the level is empty.
        """
        attributes = described(text, level)
        node = cls(io.BytesIO(text.encode()), filename=FILENAME)
        node.base.attributes.set_many(attributes)
        node.label = f"{attributes['element']} {level}"
        return node

    @classmethod
    def from_file(cls, path: Path, level: str) -> SpeciesDefaultsData:
        """Return an unstored node of a species file.

        Raises
        ------
        ValueError
            As :meth:`from_text`; the sentence names the file.
        OSError
            If it cannot be read.
        """
        text, _ = read_species_file(path)
        try:
            return cls.from_text(text, level)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @property
    def text(self) -> str:
        """The species block, verbatim."""
        if self._text is not None:
            return self._text
        with self.open(mode="rb") as handle:
            text = bytes(handle.read()).decode()
        if self.is_stored:  # it stays what it is; each process looks at it several times
            self._text = text
        return text

    @property
    def element(self) -> str:
        """Symbol of the element."""
        return str(self.base.attributes.get("element"))

    @property
    def level(self) -> str:
        """Where it is from, e.g. ``defaults_2020/light``."""
        return str(self.base.attributes.get("level"))

    @property
    def sha256(self) -> str:
        """Digest of the text."""
        return str(self.base.attributes.get("sha256"))

    def stored_once(self) -> SpeciesDefaultsData:
        """Return the equal node that the profile already holds, or store this one."""
        query = QueryBuilder().append(
            SpeciesDefaultsData, filters={"attributes.sha256": self.sha256, "attributes.level": self.level}
        )
        found: SpeciesDefaultsData | None = query.first(flat=True)
        return found if found is not None else self.store()

    def _validate(self) -> bool:
        """Refuse a node whose attributes are not those of its text."""
        super()._validate()
        attributes = self.base.attributes.all
        try:
            expected = described(self.text, str(attributes.get("level", "")))
        except ValueError as error:
            raise ValidationError(f"make species with `from_text` or `from_file`: {error}") from error
        if attributes != {**expected, "filename": FILENAME}:
            raise ValidationError("the attributes of the species are not those of its text")
        return True


def described(text: str, level: str) -> dict[str, Any]:
    """Return what a query can ask for, from the text of a species.

    Raises
    ------
    ValueError
        If the text is no species block, its label is not its element's symbol, or the level is empty.
    """
    block = read_species(text)
    if block.species != block.element:
        raise ValueError(f"the species is labelled {block.species}, not {block.element}: atoms could not refer to it")
    if not level.strip():
        raise ValueError("say where the species is from, e.g. defaults_2020/light")
    return {
        "element": block.element,
        "species": block.species,
        "nucleus_charge": block.nucleus_charge,
        "level": level,
        "tiers": {tier.name: list(tier.active) for tier in block.tiers if tier.active},
        "sha256": block.sha256,
    }


class SpeciesFamily(Group):
    """One species per element, from one folder of a distribution; it never changes once made.

    Its label, such as ``defaults_2020/light``, names the basis set of a whole study. What is to be different is
    another family.
    """

    @classmethod
    def create(cls, label: str, species: Iterable[SpeciesDefaultsData], description: str = "") -> SpeciesFamily:
        """Store species, or take the equal ones the profile holds, and the family of them.

        Raises
        ------
        ValueError
            If the label is in use, no species is given, or an element comes twice.
        """
        nodes = list(species)
        elements = [node.element for node in nodes]
        twice = sorted({element for element in elements if elements.count(element) > 1})
        if twice or not elements:
            raise ValueError(f"two species of {', '.join(twice)} are given" if twice else "a family needs species")
        if cls.find(label) is not None:
            raise ValueError(f"the species family {label!r} exists and never changes: give another label")
        # All or nothing: a family that is cut short would stay as it is for ever.
        with get_manager().get_profile_storage().transaction():
            stored = [node.stored_once() for node in nodes]
            family = cls(label=label, description=description).store()
            super(SpeciesFamily, family).add_nodes(stored)
        return family

    @classmethod
    def find(cls, label: str) -> SpeciesFamily | None:
        """Return the family with this label, or None."""
        found: SpeciesFamily | None = QueryBuilder().append(cls, filters={"label": label}).first(flat=True)
        return found

    @property
    def species(self) -> dict[str, SpeciesDefaultsData]:
        """Symbol of each element -> its species, sorted by symbol."""
        return {node.element: node for node in sorted(self.nodes, key=lambda node: node.element)}

    @property
    def checksums(self) -> dict[str, str]:
        """Symbol of each element -> digest of its text: equal for families of equal content."""
        query = QueryBuilder().append(SpeciesFamily, filters={"id": self.pk}, tag="family")
        query.append(SpeciesDefaultsData, with_group="family", project=["attributes.element", "attributes.sha256"])
        return dict(sorted(query.all()))

    def get_species(self, element: str) -> SpeciesDefaultsData:
        """Return the species of one element.

        Raises
        ------
        ValueError
            If the family has none; the sentence says how to install it.
        """
        return self._of({element})[element]

    def species_for(self, structure: StructureData) -> dict[str, SpeciesDefaultsData]:
        """Return element -> species for the elements of a structure, sorted by symbol.

        Raises
        ------
        ValueError
            If the family lacks one; the sentence says which, and how to install it.
        """
        return self._of(structure.get_symbols_set())

    def _of(self, elements: set[str]) -> dict[str, SpeciesDefaultsData]:
        query = QueryBuilder().append(SpeciesFamily, filters={"id": self.pk}, tag="family")
        query.append(SpeciesDefaultsData, with_group="family", filters={"attributes.element": {"in": sorted(elements)}})
        found = {node.element: node for node in query.all(flat=True)}
        missing = sorted(elements - set(found))
        if missing:
            raise ValueError(
                f"the species family {self.label!r} has no {', '.join(missing)}: install one that has it with "
                "`aiida-perovskite setup species DIR --label LABEL`, DIR being a folder such as "
                "species_defaults/defaults_2020/light of your FHI-aims distribution"
            )
        return {element: found[element] for element in sorted(found)}

    def add_nodes(self, nodes: Any) -> NoReturn:
        """Refuse: a family never changes."""
        raise ModificationNotAllowed(f"the species family {self.label!r} never changes: make another one")

    def remove_nodes(self, nodes: Any) -> NoReturn:
        """Refuse: a family never changes."""
        self.add_nodes(nodes)

    def clear(self) -> NoReturn:
        """Refuse: a family never changes."""
        self.add_nodes([])


def species_of_folder(folder: Path, level: str, elements: Iterable[str] | None = None) -> list[SpeciesDefaultsData]:
    """Return unstored nodes of the species files in a folder, of all elements or of some.

    Raises
    ------
    ValueError
        If the folder holds no species files, lacks an element, or a file is not a species block of the element that
        its name says.
    """
    files: Mapping[str, Path] = find_species(folder)
    if not files:
        raise ValueError(
            f"{folder} holds no species files (named like 55_Cs_default); give a folder such as "
            "species_defaults/defaults_2020/light"
        )
    wanted = sorted(files) if elements is None else sorted(set(elements))
    missing = [element for element in wanted if element not in files]
    if missing:
        raise ValueError(f"{folder} holds no species file of {', '.join(missing)}; it has {', '.join(sorted(files))}")
    nodes = []
    for element in wanted:
        node = SpeciesDefaultsData.from_file(files[element], level)
        if node.element != element:
            raise ValueError(f"{files[element]} holds a species of {node.element}, not of {element}")
        nodes.append(node)
    return nodes
