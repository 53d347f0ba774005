"""Take in runs of FHI-aims that were made outside AiiDA."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiida.engine import CalcJobImporter
from aiida.orm import Dict, KpointsData, Node, RemoteData, StructureData

from aiida_perovskite.data.species import SpeciesDefaultsData

IMPORTED = "imported"  # where the species of an imported run are from, unless the caller knows better


class AimsImporter(CalcJobImporter):
    """Make the inputs of an `AimsCalculation` from the control.in and geometry.in of a folder."""

    @staticmethod
    def parse_remote_data(remote_data: RemoteData, **kwargs: Any) -> dict[str, Node | dict[str, Any]]:
        """Return the inputs that a run in ``remote_data`` had.

        Parameters
        ----------
        remote_data
            The folder of the run.
        **kwargs
            ``level``: where its species are from, e.g. ``defaults_2020/light``.

        Raises
        ------
        ValueError
            If one of the files cannot be read, or asks for what an `AimsCalculation` cannot.
        """
        from aiida_perovskite.engines.aims import read_geometry, read_request

        with TemporaryDirectory() as local, remote_data.get_authinfo().get_transport() as transport:
            paths = {name: Path(local) / name for name in ("control.in", "geometry.in")}
            for name, path in paths.items():
                transport.getfile(str(Path(remote_data.get_remote_path()) / name), str(path))
            geometry = read_geometry(paths["geometry.in"])
            found = read_request(paths["control.in"].read_text(encoding="utf-8"), geometry)
        kpoints = KpointsData()
        kpoints.set_kpoints_mesh(list(found.request.k_grid))
        level = kwargs.get("level", IMPORTED)
        species = {name: SpeciesDefaultsData.from_text(text, level) for name, text in found.species.items()}
        return {
            "structure": StructureData(ase=geometry.atoms),
            "parameters": Dict(dict(found.request.keywords)),
            "kpoints": kpoints,
            "species": species,
            "settings": Dict(found.request.settings()),
        }
