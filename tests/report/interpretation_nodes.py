"""An interpretation stored node by node, from small networks that were really trained: only the engine did not run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

FAILING = 1e-4  # the prior weight whose training fails
# What a stranger's archive may hold: none of it may become part of the page.
HOSTILE = "</script><img src=x onerror=\"document.title='broken into'\">"
SMALL = {
    "epochs": 60,
    "learning_rate": 0.01,
    "final_learning_rate": 0.001,
    "members": 2,
    "folds": 2,
    "hidden": 16,
    "embedding": 15,
    "heads": 2,
    "layers": 2,
}
QUICK = {"k_max": 5, "gap_references": 3, "seed_runs": 3, "bootstrap_runs": 3, "permutations": 99, "n_init": 3}
ANALYSIS = {
    "families": QUICK,
    "attribution_steps": 4,
    "sse": {"updates": 50, "learning_rate": 0.02, "threshold_ev": -4.5},
}
TABLES = ("members", "scan", "families", "elements", "claims", "components", "stability")


def train_and_analyse(frame: Any, target: str, weights: list[float], settings: Any, quick: Any) -> SimpleNamespace:
    """Train level networks for each weight of the prior and find families, with the plain functions of the package."""
    from aiida_perovskite.learning.families import FamilySettings
    from aiida_perovskite.learning.interpretation import interpret_levels, levels_of_members
    from aiida_perovskite.learning.levels import LevelModel, LevelSettings

    found = {}
    for weight in weights:
        chosen = LevelSettings.from_dict({**settings, "prior_weight": weight})
        levels_ev = {row["symbol"]: (row["homo_ev"], row["lumo_ev"]) for row in reference_rows()}
        model = LevelModel.train(frame["formula"], frame[target], chosen, target=target, reference=levels_ev)
        levels = levels_of_members(model, frame["formula"])
        parts = interpret_levels(model, levels, FamilySettings.from_dict(quick), attribution_steps=4)
        found[weight] = SimpleNamespace(model=model, levels=levels, parts=parts)
    return SimpleNamespace(frame=frame, target=target, settings=settings, quick=quick, weights=found)


def reference_rows() -> list[dict[str, Any]]:
    """Invent levels that fall with the electronegativity, in the columns of the shipped table."""
    from pymatgen.core.periodic_table import Element

    rows = []
    for number in range(1, 84):
        element = Element.from_Z(number)
        if element.is_noble_gas:
            continue
        x = float(element.X)
        row = {"symbol": element.symbol, "oxidation_state": int((element.common_oxidation_states or (0,))[0])}
        row |= {"homo_ev": round(-4 - 2 * x, 3), "lumo_ev": round(-0.5 - 1.3 * x, 3)}
        rows.append(row | {f"{kind}_{name}": name for kind in ("homo", "lumo") for name in ("orbital", "source")})
    return rows


class Interpretation:
    """Stores an InterpretWorkChain with what it calls and hands out."""

    def __init__(self, found: SimpleNamespace, folder: Path, name: str = "halides") -> None:
        self.found, self.folder, self.name = found, folder, name

    def store(self, failing: float | None = None, finished: bool = True) -> Any:
        """Store everything; ``failing``: a weight whose training fails; unfinished, only trainings ended."""
        from aiida import orm
        from report.conftest import end, process

        self.inputs = self.given([*self.found.weights, *([] if failing is None else [failing])])
        self.node = process("work", "InterpretWorkChain", **self.inputs)
        self.node.label = self.name
        outputs = {f"sse__{name}": data for name, data in self.baseline().items()}
        for weight in self.found.weights:
            outputs |= self.branch(weight, finished)
        if failing is not None:
            training = process(
                "work", "TrainLevelsWorkChain", self.node, self.link("train", failing), prior_weight=orm.Float(failing)
            )
            end(training, 400, f"training failed: the loss is not a number {HOSTILE}")
        if finished:
            status = (0, None) if failing is None else (410, f"prior weight {failing:g}: training failed")
            end(self.node, *status, **outputs)
        return self.node

    def given(self, weights: list[float]) -> dict[str, Any]:
        """Store the inputs."""
        import pandas as pd
        from aiida import orm
        from report.conftest import table

        return {
            "dataset": table(self.found.frame, "halide-gaps-gpaw").store(),
            "target": orm.Str(self.found.target).store(),
            "reference": table(pd.DataFrame(reference_rows()), "reference-levels").store(),
            "settings": orm.Dict({**self.found.settings, "prior_weights": weights}).store(),
            "analysis": orm.Dict({**ANALYSIS, "families": self.found.quick}).store(),
        }

    def baseline(self) -> dict[str, Any]:
        """Fit the solid-state energies."""
        from aiida import orm

        from aiida_perovskite.calculations.interpret import solid_state_baseline

        found: dict[str, Any] = solid_state_baseline(
            self.inputs["dataset"], self.inputs["target"], orm.Dict(ANALYSIS["sse"])
        )
        return found

    def link(self, step: str, weight: float) -> str:
        """Return the label by which the WorkChain calls a step."""
        from aiida_perovskite.workflows.interpret import prior_key

        return f"{step}_{prior_key(weight)}"

    def branch(self, weight: float, finished: bool) -> dict[str, Any]:
        """Store what came of one weight of the prior; while the WorkChain runs, only the training has ended."""
        from aiida import orm
        from report.conftest import end, process, table

        from aiida_perovskite.calculations.interpret import predict_levels
        from aiida_perovskite.data.model import ModelCheckpointData
        from aiida_perovskite.workflows.interpret import prior_key

        found = self.found.weights[weight]
        given = {name: self.inputs[name] for name in ("dataset", "target", "settings", "reference")}
        training = process(
            "work",
            "TrainLevelsWorkChain",
            self.node,
            self.link("train", weight),
            prior_weight=orm.Float(weight),
            **given,
        )
        job = process("function", "train", training, "iteration_01", **given)
        folder = self.folder / prior_key(weight)
        found.model.save(folder)
        trained = {
            "model": ModelCheckpointData.from_folder(folder),
            "metrics": orm.Dict(found.model.metrics),
            "cross_validation": table(found.model.cross_validation, "cross-validation"),
            "history": table(found.model.history, "history"),
        }
        end(job, **trained)
        end(training, **trained)
        if not finished:
            return {}
        levels = predict_levels(trained["model"], self.inputs["dataset"])
        families = process(
            "work", "FamiliesWorkChain", self.node, self.link("families", weight), model=trained["model"], levels=levels
        )
        job = process("function", "families", families, "iteration_01", model=trained["model"], levels=levels)
        parts: dict[str, Any] = {name: table(getattr(found.parts.analysis, name), name) for name in TABLES}
        parts["attributions"] = table(found.parts.agreement.frame, "attributions")
        parts |= {"summary": orm.Dict(found.parts.analysis.summary), "agreement": orm.Dict(found.parts.score)}
        end(job, **parts)
        end(families, **parts)
        handed = {**trained, "levels": levels, **parts}
        return {f"networks__{prior_key(weight)}__{name}": data for name, data in handed.items()}
