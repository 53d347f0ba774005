"""Add computed gaps to the shipped dataset: ``extend_dataset.py FOLDER [--computed-by NAME] [--dry-run]``.

FOLDER holds one JSON file per compound, as the package's GPAW route leaves them outside AiiDA. New compounds are added
in alphabetical order, rows that are there stay as they are, the checksum follows, and oddities are listed to be looked
at before committing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aiida_perovskite.chemistry import Composition

SHIPPED = Path(__file__).parents[1] / "aiida_perovskite" / "datasets" / "shipped" / "halide_gaps_gpaw.csv"
MAX_FORCE = 0.5  # eV/Angstrom on the halide: above, the position is not that of the compound
MAX_GOOD_FORCE = 0.2  # what the route aims at
MAX_SHIFT = 0.02  # in x: a larger correction by the PBE force means that CHGNet misjudged an ion
MAX_DISAGREEMENT = 0.05  # eV between two calculations of one compound
GAPLESS_EV = 0.05  # PBE gaps up to this count as none
OUTLIER = 3.0  # spreads away from what the other compounds with the same ions lead to expect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, default=SHIPPED, help="table to extend; the shipped one if not given")
    parser.add_argument(
        "--computed-by", help="for the column computed_by; gap_dataset.py and each file's date otherwise"
    )
    parser.add_argument("--dry-run", action="store_true", help="list what would be added, write nothing")
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.table, dtype={"vbm_k": str, "cbm_k": str})
    results = read_results(arguments.folder, arguments.computed_by)
    report_known(table, results)
    added = results[~results["formula"].isin(table["formula"])]
    both = pd.concat([table, added]).sort_values("formula", ignore_index=True) if len(added) else table
    report_oddities(both, both["formula"].isin(added["formula"]))
    print(f"{len(added)} new rows, {len(both)} in all, {(both['pbe_gapless'] == 0).sum()} of them with a PBE gap")
    if not arguments.dry_run:
        content = both.to_csv(index=False).encode()
        write(arguments.table, content)
        checksum = f"{hashlib.sha256(content).hexdigest()}  {arguments.table.name}\n"
        write(arguments.table.with_name("SHA256SUMS"), checksum.encode())


def read_results(folder: Path, computed_by: str | None) -> pd.DataFrame:
    """Return one row per compound of the folder, and print the files that are left out."""
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        day = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            new = None if unusable(result) else row(result, computed_by or f"gap_dataset.py {day}")
        except (ValueError, KeyError) as error:  # a file that is still being written, or of another program
            print(f"left out {path.stem}: not a whole result ({type(error).__name__}: {error})")
            continue
        if new is None:
            print(f"left out {path.stem}: {unusable(result)}")
            continue
        other = rows.get(new["formula"])
        # (In, Tl) and (Tl, In) are one compound with the charges dealt differently: the lower energy stays.
        if other is not None:
            print(f"{new['formula']} was computed twice: the lower energy stays")
        if other is None or new["energy_pbe_ev_per_cell"] < other["energy_pbe_ev_per_cell"]:
            rows[new["formula"]] = new
    if not rows:
        raise SystemExit(f"{folder} holds no usable result")
    return pd.DataFrame(list(rows.values()))


def unusable(result: dict[str, Any]) -> str | None:
    """Say why a result cannot be a row, or None."""
    if "error" in result:
        return str(result["error"])
    if abs(result["force_on_halide"]) > MAX_FORCE:
        return f"force of {result['force_on_halide']:.2f} eV/Angstrom left on the halide"
    if not result["geometry_converged"]:
        return "the geometry has not converged"
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


def report_known(table: pd.DataFrame, results: pd.DataFrame) -> None:
    """Print how many results the table has already, and those that do not agree with it."""
    pairs = table.merge(results, on="formula", suffixes=("", "_again"))
    if len(pairs):
        print(f"{len(pairs)} compounds are in the table already and stay as they are")
    difference = pairs["raw_gap_hse06_soc_ev_again"] - pairs["raw_gap_hse06_soc_ev"]
    for index in np.flatnonzero(difference.abs() > MAX_DISAGREEMENT):
        print(f"{pairs['formula'][index]}: the new gap differs by {difference[index]:+.2f} eV from that in the table")


def report_oddities(rows: pd.DataFrame, new: pd.Series) -> None:
    """Print which of the new rows deserve a look."""
    away = residuals(rows)
    spread = 1.4826 * np.median(np.abs(away - np.median(away)))  # of a normal distribution, whatever the outliers
    checks = {
        "force above the aim": rows["force_on_halide_ev_per_angstrom"].abs() > MAX_GOOD_FORCE,
        "halide moved far by the PBE force": (rows["x_halide"] - rows["x_chgnet"]).abs() > MAX_SHIFT,
        "hybrid gap below the PBE gap": rows["gap_hse06_ev"] < rows["gap_pbe_ev"],
        "spin-orbit coupling opens the gap by more than 0.1 eV": rows["gap_hse06_soc_ev"] > rows["gap_hse06_ev"] + 0.1,
        "no PBE gap": rows["pbe_gapless"] == 1,
        f"gap more than {OUTLIER * spread:.1f} eV from that of compounds with the same ions": np.abs(away)
        > OUTLIER * spread,
    }
    for what, where in checks.items():
        if (where & new).any():
            print(f"{what}: {', '.join(rows.loc[where & new, 'formula'])}")


def residuals(rows: pd.DataFrame) -> np.ndarray:
    """Return gap (eV) minus what all other rows lead to expect: a sum of one term per ion, fitted without the row."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    compositions = [Composition.parse(formula) for formula in rows["formula"]]
    ions = rows[["cation_1", "cation_2"]].assign(c=[x.c for x in compositions], d=[x.d for x in compositions])
    gaps = rows["raw_gap_hse06_soc_ev"].to_numpy()
    return gaps - cross_val_predict(Ridge(alpha=1.0), pd.get_dummies(ions).to_numpy(float), gaps, cv=LeaveOneOut())


def write(path: Path, content: bytes) -> None:
    """Replace a file as a whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
