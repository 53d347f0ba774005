"""Add computed gaps to the shipped dataset: ``extend_dataset.py FOLDER [--computed-by NAME] [--dry-run]``.

FOLDER holds one JSON file per compound, as the package's GPAW route leaves them outside AiiDA. New compounds are
appended, rows that are there stay as they are, and oddities are listed to be looked at before committing.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from aiida_perovskite.chemistry import Composition

SHIPPED = Path(__file__).parents[1] / "aiida_perovskite" / "datasets" / "shipped" / "halide_gaps_gpaw.csv"
MAX_FORCE = 0.5  # eV/Angstrom on the halide: above, the position is not that of the compound
MAX_GOOD_FORCE = 0.2  # what the route aims at
MAX_SHIFT = 0.02  # in x: a larger correction by the PBE force means that CHGNet misjudged an ion
GAPLESS_EV = 0.05  # PBE gaps up to this count as none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--computed-by", default="gap_dataset.py 2026-11-24", help="what the column computed_by says")
    parser.add_argument("--dry-run", action="store_true", help="list what would be added, write nothing")
    arguments = parser.parse_args()

    shipped = pd.read_csv(SHIPPED, dtype={"vbm_k": str, "cbm_k": str})
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(arguments.folder.glob("*.json")):
        result = json.loads(path.read_text())
        why = unusable(result)
        if why:
            print(f"left out {path.stem}: {why}")
            continue
        new = row(result, arguments.computed_by)
        other = rows.get(new["formula"])
        # (In, Tl) and (Tl, In) are one compound with the charges dealt differently: the lower energy stays.
        if other is None or new["energy_pbe_ev_per_cell"] < other["energy_pbe_ev_per_cell"]:
            rows[new["formula"]] = new
    added = pd.DataFrame([r for f, r in rows.items() if f not in set(shipped["formula"])])
    if added.empty:
        print("nothing new")
        return
    report_oddities(added)
    both = pd.concat([shipped, added[shipped.columns]]).sort_values("formula", ignore_index=True)
    print(f"{len(added)} new rows, {len(both)} in all, {(both['pbe_gapless'] == 0).sum()} of them with a PBE gap")
    if not arguments.dry_run:
        temporary = SHIPPED.with_suffix(".tmp")
        both.to_csv(temporary, index=False)
        os.replace(temporary, SHIPPED)


def unusable(result: dict[str, Any]) -> str | None:
    """Say why a result cannot be a row, or None."""
    if "error" in result:
        return str(result["error"])
    if abs(result["force_on_halide"]) > MAX_FORCE:
        return f"force of {result['force_on_halide']:.2f} eV/Angstrom left on the halide"
    return None


def row(result: dict[str, Any], computed_by: str) -> dict[str, Any]:
    """Return the row of one result."""
    composition = Composition(result["A"], result["B"], result["C"], result["D"])
    soc, scalar, pbe_soc, pbe = (result[key] for key in ("hse_soc", "hse", "pbe_soc", "pbe"))
    return {
        "formula": composition.formula,
        "cation_1": result["A"],
        "cation_2": result["B"],
        "gap_hse06_soc_ev": clipped(soc["gap"]),
        "raw_gap_hse06_soc_ev": round(soc["gap"], 4),
        "direct_gap_hse06_soc_ev": clipped(soc["direct"]),
        "gamma_gap_hse06_soc_ev": clipped(soc["gamma"]),
        "vbm_k": " ".join(f"{value:g}" for value in soc["vbm_k"]),
        "cbm_k": " ".join(f"{value:g}" for value in soc["cbm_k"]),
        "gap_hse06_ev": clipped(scalar["gap"]),
        "gap_pbe_soc_ev": clipped(pbe_soc["gap"]),
        "gap_pbe_ev": clipped(pbe["gap"]),
        "a_angstrom": round(result["a"], 4),
        "x_halide": round(result["x"], 5),
        "x_chgnet": round(result["x_chgnet"], 5),
        "force_on_halide_ev_per_angstrom": round(result["force_on_halide"], 3),
        "energy_pbe_ev_per_cell": round(result["energy_pbe"], 4),
        "energy_chgnet_r2scan_ev_per_cell": round(result["chgnet_r2scan_energy"], 4),
        "pbe_gapless": int(pbe["gap"] <= GAPLESS_EV),
        "computed_by": computed_by,
    }


def clipped(gap: float) -> float:
    """Return the gap with an overlap of the bands as 0, to four digits."""
    return round(max(0.0, gap), 4)


def report_oddities(rows: pd.DataFrame) -> None:
    """Print the rows that deserve a look."""
    checks = {
        "force above the aim": rows["force_on_halide_ev_per_angstrom"].abs() > MAX_GOOD_FORCE,
        "halide moved far by the PBE force": (rows["x_halide"] - rows["x_chgnet"]).abs() > MAX_SHIFT,
        "hybrid gap below the PBE gap": rows["gap_hse06_ev"] < rows["gap_pbe_ev"],
        "spin-orbit coupling opens the gap by more than 0.1 eV": rows["gap_hse06_soc_ev"] > rows["gap_hse06_ev"] + 0.1,
        "no PBE gap": rows["pbe_gapless"] == 1,
    }
    for what, where in checks.items():
        if where.any():
            print(f"{what}: {', '.join(rows.loc[where, 'formula'])}")


if __name__ == "__main__":
    main()
