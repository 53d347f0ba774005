"""Species blocks made up for tests: the shape of FHI-aims' own, none of their content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LABEL = "made_up/light"


def species_text(symbol: str) -> str:
    """Return a block that says which element it is, and else what no distribution says."""
    from ase.data import atomic_numbers

    return (
        f"# made up for tests\n  species        {symbol}\n    nucleus             {atomic_numbers[symbol]}\n"
        "    mass                1.0\n    l_hartree           3\n    cut_pot             3.3 1.2 1.0\n"
        '#  "First tier" - made up\n     hydro 2 p 1.5\n'
    )


def species_folder(folder: Path, symbols: list[str]) -> Path:
    """Write made-up species files, named as in a distribution."""
    from ase.data import atomic_numbers

    folder.mkdir(parents=True, exist_ok=True)
    for symbol in symbols:
        (folder / f"{atomic_numbers[symbol]:02d}_{symbol}_default").write_text(species_text(symbol))
    return folder


def species_family(symbols: list[str], label: str = LABEL) -> Any:
    """Return the family of made-up species in the loaded profile."""
    from aiida_perovskite.data.species import SpeciesDefaultsData, SpeciesFamily

    found = SpeciesFamily.find(label)
    if found is not None:
        return found
    return SpeciesFamily.create(label, [SpeciesDefaultsData.from_text(species_text(name), label) for name in symbols])
