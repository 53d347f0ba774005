"""Species blocks made up for tests: of the form that FHI-aims reads, with numbers that no distribution holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LABEL = "made_up/light"


def species_text(element: str, radius: str = "1.25") -> str:
    """Return an invented block; ``radius`` is the onset of its confining potential in Angstrom."""
    from ase.data import atomic_numbers

    return f"""# invented for a test: describes no atom
  species        {element}
    nucleus      {atomic_numbers[element]}
    mass         1.0d0
    l_hartree    3
    cut_pot      {radius}  0.5  1.0
    angular_grids specified
      division   0.1  10
      outer_grid 20
    valence      1  s   1.
#  "First tier" - invented
     hydro 2 p 9.75
#     hydro 3 d 9.25
#  "Second tier" - invented
#     ionic 4 s auto
"""


def species_folder(folder: Path, elements: str = "Ag Bi Br Cs", radius: str = "1.25") -> Path:
    """Write the files ``NN_El_default`` of some elements, and one that is no species file, into a new folder."""
    from ase.data import atomic_numbers

    folder.mkdir(parents=True)
    for element in elements.split():
        (folder / f"{atomic_numbers[element]:02d}_{element}_default").write_text(species_text(element, radius))
    (folder / "README").write_text("not a species file")
    return folder


def species_family(elements: list[str], label: str = LABEL) -> Any:
    """Return the family of invented species in the loaded profile."""
    from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily

    found = SpeciesFamily.find(label)
    if found is not None:
        return found
    return SpeciesFamily.create(label, [SpeciesDefaultsData.from_text(species_text(name), label) for name in elements])
