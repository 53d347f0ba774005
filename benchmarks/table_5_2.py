"""Tables 5.2 and 5.3 of the thesis beside a campaign: writes results/table_5_2_open.csv and table_5_3_open.csv.

``python benchmarks/table_5_2.py --compounds compounds.csv`` writes those of the ten compounds that the table does not
hold. Then, in a profile (``source tools/activate``), which takes about half an hour of one core a compound:

    aiida-perovskite screen -c table-5-2 --from-table compounds.csv --complete --train-protocol fast \\
        --overrides benchmarks/table_5_2.yaml

and ``python benchmarks/table_5_2.py table-5-2`` reads from the provenance graph which compounds are whole, also while
others are being computed, and puts them into the tables. There each quantity stands beside the thesis's
(``thesis_...``); masses are compared along the directions of the thesis only.
``thesis_table_5_2.csv`` and ``thesis_table_5_3.csv`` are the printed tables; two directions of CrInCs2I6 are misprinted
there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kept_table import KeptTable

HERE = Path(__file__).parent
# Ions with closed shells; low-spin d6 ions, which need no spin; one open shell; two of them, antiparallel.
COMPOUNDS = [
    *("AgInCs2Br6", "AgInRb2Br6", "CuInCs2Cl6", "GeSnCs2Cl6", "GeSnCs2Br6", "AlLiCs2I6"),
    *("AgRhRb2Br6", "AgIrRb2Br6", "CrScCs2I6", "CrGaRb2I6"),
]
QUANTITIES = ("decomposition_enthalpy_mev_per_atom", "gap_ev", "absorption_onset_ev", "slme_percent")
MASSES = [f"{carrier}_mass_{place}" for carrier in ("hole", "electron") for place in (1, 2)]


def main() -> None:
    """Read the campaign, or say what it should compute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", nargs="?", help="label of the campaign")
    parser.add_argument("--compounds", type=Path, help="write the compounds here, and do nothing else")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    options = parser.parse_args()
    tables = {name: KeptTable(options.output / f"{name}_open.csv", "formula") for name in ("table_5_2", "table_5_3")}
    if options.compounds:
        missing = [formula for formula in COMPOUNDS if not tables["table_5_2"].holds(formula)]
        pd.DataFrame({"formula": missing}).to_csv(options.compounds, index=False)
        return
    if options.campaign is None:
        parser.error("name a campaign, or --compounds FILE")
    computed = read(options.campaign)
    if computed.empty:
        raise SystemExit(f"no compound of {options.campaign} is whole yet: ask again later")
    for name, table in tables.items():
        thesis = pd.read_csv(HERE / f"thesis_{name}.csv").set_index("formula")
        for row in beside(computed, thesis, relaxed=name == "table_5_3"):
            table.put(row, float_format="%.4g")
        print(deviations(table.frame))


def read(campaign: str) -> pd.DataFrame:
    """Return what a campaign's last run found for compounds that have ended, all masses and the CPU hours included."""
    from aiida import load_profile
    from aiida.orm import WorkChainNode, load_group
    from stage_cost import stages

    from aiida_perovskite.report.candidates import candidate_processes
    from aiida_perovskite.report.collect import collect_campaign
    from aiida_perovskite.report.results import masses_by_direction, results_frame

    load_profile()
    runs = [node for node in load_group(campaign).nodes if isinstance(node, WorkChainNode)]
    run = max(runs, key=lambda node: node.ctime)
    report = collect_campaign(run)
    frame = results_frame(report).set_index("formula")
    found = {
        item.formula: {
            (carrier, _line(one.direction)): one.mass and one.mass.value
            for carrier in ("hole", "electron")
            for one in masses_by_direction(item, carrier)
        }
        for item in report.candidates
    }
    hours = {
        formula: sum(float(row["cpu_s"]) for row in stages(process)) / 3600
        for formula, process in candidate_processes(run).items()
        if process.is_terminated
    }
    return frame.assign(masses=pd.Series(found), cpu_hours=pd.Series(hours)).loc[list(hours)]


def _line(direction: object) -> str:
    """Return a direction whichever of its ends comes first."""
    return "-".join(sorted(str(direction).split("-")))


def beside(computed: pd.DataFrame, thesis: pd.DataFrame, relaxed: bool) -> list[dict[str, Any]]:
    """Return what was computed beside the thesis's numbers, compound by compound.

    Parameters
    ----------
    relaxed
        Compare what was found after the relaxation without symmetry constraint.
    """
    rows = []
    for formula in computed.index.intersection(thesis.index):
        ours, theirs = computed.loc[formula], thesis.loc[formula]
        row: dict[str, Any] = {"formula": formula}
        for name in QUANTITIES:
            row[name] = ours[f"relaxed_{name}" if relaxed else name]
            row[f"thesis_{name}"] = theirs[name]
        hull = "hull_decomposition_enthalpy_mev_per_atom"
        row[hull] = ours[f"relaxed_{hull}" if relaxed else hull]  # the thesis does not say which phases compete
        if relaxed:
            row |= {"spacegroup": ours["relaxed_spacegroup"], "thesis_spacegroup": theirs["spacegroup"]}
        for name in () if relaxed else MASSES:
            carrier, _, place = name.split("_")
            direction = theirs[f"{carrier}_direction_{place}"]
            row[f"{carrier}_direction_{place}"] = direction
            row[name] = (ours["masses"] or {}).get((carrier, _line(direction)))
            row[f"thesis_{name}"] = theirs[name]
        rows.append(row | {"cpu_hours": ours["cpu_hours"]})
    return rows


def deviations(table: pd.DataFrame) -> str:
    """Say how far the two are apart in the mean."""
    parts = [
        f"{name}: {(table[name] - table[f'thesis_{name}']).abs().mean():.3g} in {table[name].notna().sum()} rows"
        for name in QUANTITIES
    ]
    if MASSES[0] in table:
        ours, theirs = (table[[f"{kind}{name}" for name in MASSES]].to_numpy(dtype=float) for kind in ("", "thesis_"))
        ratios = np.abs(ours / theirs - 1)
        parts.append(f"masses: {100 * np.nanmean(ratios):.0f} % in {np.isfinite(ratios).sum()} numbers")
    slme = table[["slme_percent", "thesis_slme_percent"]].dropna()
    parts.append(f"order of SLME (Kendall's tau): {slme.corr('kendall').iloc[0, 1]:.2f}")
    return "mean absolute deviation\n  " + "\n  ".join(parts)


if __name__ == "__main__":
    main()
