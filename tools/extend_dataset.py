"""Add computed gaps to the shipped dataset: ``extend_dataset.py FOLDER|CAMPAIGN [--computed-by NAME] [--dry-run]``.

CAMPAIGN is one of the current AiiDA profile, finished or not: every candidate whose gap has been computed counts.
FOLDER holds one JSON file per compound, as the route's first script leaves them. New compounds are added in
alphabetical order. Rows that are there stay as they are, unless they start from PBE without a gap and the new one is
self-consistent. The checksum follows, and oddities are listed to be looked at before committing.
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

from aiida_perovskite.chemistry import Composition, likely_charges

SHIPPED = Path(__file__).parents[1] / "aiida_perovskite" / "datasets" / "shipped" / "halide_gaps_gpaw.csv"
MAX_FORCE = 0.5  # eV/Angstrom on the halide: above, the position is not that of the compound
MAX_GOOD_FORCE = 0.2  # what the route aims at
MAX_SHIFT = 0.02  # in x: a larger correction by the PBE force means that CHGNet misjudged an ion
MAX_DISAGREEMENT = 0.05  # eV between two calculations of one compound
GAPLESS_EV = 0.05  # PBE gaps up to this count as none
OUTLIER = 3.0  # spreads away from what the other compounds with the same ions lead to expect

FROM_GAP = (
    "raw_gap_hse06_soc_ev",
    "direct_gap_hse06_soc_ev",
    "gamma_gap_hse06_soc_ev",
    "vbm_k",
    "cbm_k",
    "a_angstrom",
    "energy_pbe_ev_per_cell",
)  # columns that a candidate's gap node has under the same name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="FOLDER|CAMPAIGN")
    parser.add_argument("--table", type=Path, default=SHIPPED, help="table to extend; the shipped one if not given")
    parser.add_argument(
        "--computed-by", help="for the column computed_by; the program and each result's date otherwise"
    )
    parser.add_argument("--dry-run", action="store_true", help="list what would be added, write nothing")
    arguments = parser.parse_args()

    table = pd.read_csv(arguments.table, dtype={"vbm_k": str, "cbm_k": str})
    folder = Path(arguments.source)
    found = read_folder(folder) if folder.is_dir() else read_campaign(arguments.source)
    results = usable(found, arguments.computed_by, list(table.columns))
    better = replacements(table, results)
    report_known(table, results[~results["formula"].isin(better["formula"])])
    added = results[~results["formula"].isin(table["formula"])]
    old = table[~table["formula"].isin(better["formula"])]
    new = pd.concat([better, added])
    both = pd.concat([old, new]).sort_values("formula", ignore_index=True) if len(new) else table
    report_oddities(both, both["formula"].isin(new["formula"]))
    doubtful = (both["pbe_gapless"] == 1) & (both["hybrid_self_consistent"] == 0)
    print(
        f"{len(added)} new rows, {len(better)} made self-consistent, {len(both)} in all, {doubtful.sum()} not to trust"
    )
    if not arguments.dry_run:
        content = both.to_csv(index=False).encode()
        write(arguments.table, content)
        sums = arguments.table.with_name("SHA256SUMS")
        lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
        others = [line for line in lines if not line.endswith(f" {arguments.table.name}")]
        checksum = f"{hashlib.sha256(content).hexdigest()}  {arguments.table.name}"
        write(sums, "".join(f"{line}\n" for line in [checksum, *others]).encode())


def read_folder(folder: Path) -> list[dict[str, Any]]:
    """Return what the files of a folder say, each with ``computed_by``; unreadable ones are printed."""
    found = []
    for path in sorted(folder.glob("*.json")):
        day = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            values = {"error": result["error"]} if "error" in result else from_script(result)
        except (ValueError, KeyError) as error:  # a file that is still being written, or of another program
            print(f"left out {path.stem}: not a whole result ({type(error).__name__}: {error})")
            continue
        found.append({"name": path.stem, "computed_by": f"gap_dataset.py {day}", **values})
    return found


def from_script(result: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row from a file of the route's first script, all digits."""
    soc = result["hse_soc"]
    return {
        "formula": Composition(result["A"], result["B"], result["C"], result["D"]).formula,
        "cation_1": result["A"],
        "cation_2": result["B"],
        "raw_gap_hse06_soc_ev": soc["gap"],
        "direct_gap_hse06_soc_ev": soc["direct"],
        "gamma_gap_hse06_soc_ev": soc["gamma"],
        "vbm_k": " ".join(f"{value:g}" for value in soc["vbm_k"]),
        "cbm_k": " ".join(f"{value:g}" for value in soc["cbm_k"]),
        "gap_hse06_ev": result["hse"]["gap"],
        "gap_pbe_soc_ev": result["pbe_soc"]["gap"],
        "gap_pbe_ev": result["pbe"]["gap"],
        "a_angstrom": result["a"],
        "x_halide": result["x"],
        "x_chgnet": result["x_chgnet"],
        "force_on_halide_ev_per_angstrom": result["force_on_halide"],
        "energy_pbe_ev_per_cell": result["energy_pbe"],
        "energy_chgnet_r2scan_ev_per_cell": result["chgnet_r2scan_energy"],
        "hybrid_self_consistent": 0,
        "error": None if result["geometry_converged"] else "the geometry has not converged",
    }


def read_campaign(name: str) -> list[dict[str, Any]]:
    """Return what the candidates of a campaign found, each with ``computed_by``."""
    from aiida import load_profile

    from aiida_perovskite.cli.campaigns import runs
    from aiida_perovskite.report.candidates import candidate_processes

    load_profile()
    found = {node.uuid: node for run in runs(name) for node in candidate_processes(run).values()}
    return [from_candidate(node) for node in found.values() if node.is_terminated]


def from_candidate(node: Any) -> dict[str, Any]:
    """Return the values of a row from a CandidateWorkChain that has ended."""
    formula = node.inputs.formula.value
    found = {"name": formula, "computed_by": f"CandidateWorkChain {node.ctime:%Y-%m-%d}"}
    if not node.is_finished_ok:
        return {**found, "error": node.exit_message or "excepted or killed"}
    gap, geometry = node.outputs.gap.get_dict(), node.outputs.geometry.get_dict()
    if gap["spin_polarised"] or gap["x_halide"] is None:
        return {**found, "error": "spin-polarised or no Fm-3m double perovskite: not of this dataset"}
    first, second = cations(formula)
    # x is the distance from A, the first of the cell's two cations, which are in alphabetical order.
    turned = first != Composition.parse(formula).a
    x = {key: 0.5 - gap[key] if turned else gap[key] for key in ("x_halide", "x_chgnet")}
    force = gap["force_on_halide_ev_per_angstrom"]
    return {
        **found,
        "formula": formula,
        "cation_1": first,
        "cation_2": second,
        **{key: gap[key] for key in FROM_GAP},
        **{f"gap_{level}_ev": gap[f"raw_gap_{level}_ev"] for level in ("hse06", "pbe_soc", "pbe")},
        "hybrid_self_consistent": int(gap["hybrid_self_consistent"]),
        **x,
        "force_on_halide_ev_per_angstrom": -force if turned else force,
        "energy_chgnet_r2scan_ev_per_cell": geometry["energy_chgnet_r2scan_ev_per_cell"],
        "error": None,
    }


def cations(formula: str) -> tuple[str, str]:
    """Return A and B, the lower charge first, equal charges in alphabetical order."""
    composition = Composition.parse(formula)
    charges = likely_charges(composition)
    return (composition.a, composition.b) if charges.a <= charges.b else (composition.b, composition.a)


def usable(found: list[dict[str, Any]], computed_by: str | None, columns: list[str]) -> pd.DataFrame:
    """Return one row per compound, and print what is left out."""
    rows: dict[str, dict[str, Any]] = {}
    for values in found:
        if why := values["error"] or too_large_force(values["force_on_halide_ev_per_angstrom"]):
            print(f"left out {values['name']}: {why}")
            continue
        new = row(values, computed_by or values["computed_by"], columns)
        other = rows.get(new["formula"])
        # (In, Tl) and (Tl, In) are one compound with the charges dealt differently: the lower energy stays.
        if other is not None:
            print(f"{new['formula']} was computed twice: the lower energy stays")
        if other is None or new["energy_pbe_ev_per_cell"] < other["energy_pbe_ev_per_cell"]:
            rows[new["formula"]] = new
    if not rows:
        raise SystemExit("there is no usable result")
    return pd.DataFrame(list(rows.values()))


def too_large_force(force: float) -> str | None:
    """Return why a result cannot be used, or None."""
    return f"force of {force:.2f} eV/Angstrom left on the halide" if abs(force) > MAX_FORCE else None


def row(values: dict[str, Any], computed_by: str, columns: list[str]) -> dict[str, Any]:
    """Return the row of one result: overlaps of the bands as a gap of 0, and no more digits than mean something."""
    gaps = ("direct_gap_hse06_soc_ev", "gamma_gap_hse06_soc_ev", "gap_hse06_ev", "gap_pbe_soc_ev", "gap_pbe_ev")
    digits = {"x_halide": 5, "x_chgnet": 5, "force_on_halide_ev_per_angstrom": 3}
    new = {
        **values,
        "gap_hse06_soc_ev": values["raw_gap_hse06_soc_ev"],
        "pbe_gapless": int(values["gap_pbe_ev"] <= GAPLESS_EV),
        "computed_by": computed_by,
    }
    for key in (*gaps, "gap_hse06_soc_ev"):
        new[key] = clipped(new[key])
    return {key: round(new[key], digits.get(key, 4)) if isinstance(new[key], float) else new[key] for key in columns}


def clipped(gap: float) -> float:
    """Return the gap with an overlap of the bands as 0, to four digits."""
    return round(max(0.0, gap), 4)


def replacements(table: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Return the results that are self-consistent where the table has HSE06 on the orbitals of a metal."""
    known = table.set_index("formula")
    doubtful = known.index[(known["pbe_gapless"] == 1) & (known["hybrid_self_consistent"] == 0)]
    better = results[results["formula"].isin(doubtful) & (results["hybrid_self_consistent"] == 1)].copy()
    for index, new in better.iterrows():
        was = known.loc[new["formula"]]
        print(f"{new['formula']}: {new['gap_hse06_soc_ev']} eV self-consistently, {was['gap_hse06_soc_ev']} eV before")
        better.loc[index, "computed_by"] = f"{was['computed_by']}, then {new['computed_by']}"
        better.loc[index, "pbe_gapless"] = 1  # where PBE puts the halide; HSE06 may have moved it
    return better


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
        "no PBE gap, and not self-consistent": (rows["pbe_gapless"] == 1) & (rows["hybrid_self_consistent"] == 0),
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
