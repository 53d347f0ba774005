"""A campaign stored node by node, with the links that the WorkChains would leave: no engine has to run for it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulation import TINY_TRAINING
from report.cell_nodes import everything

# What a stranger's archive may hold: none of it may become part of the page.
HOSTILE = "</script><img src=x onerror=\"document.title='broken into'\">"
KPOINTS = [
    [0, 0, 0],
    [0.5, 0.5, 0],
    [0.5, 0, 0.5],
    [0, 0.5, 0.5],
    [0.5, 0, 0],
    [0, 0.5, 0],
    [0, 0, 0.5],
    [0.5, 0.5, 0.5],
]
REFERENCE = "AgBiCs2Br6"  # known, so the funnel never gives it
TINY = {**TINY_TRAINING, "learning_curve": [0.5]}


@pytest.fixture(scope="package")
def trained() -> SimpleNamespace:
    """A real model after two epochs on the shipped gaps, and what it says of the whole space."""
    return train(TINY)


def train(settings: dict[str, Any]) -> SimpleNamespace:
    """Train, predict and select with the plain functions of the package."""
    import pandas as pd

    from aiida_perovskite.chemistry import describe, halide_space
    from aiida_perovskite.datasets import load_dataset
    from aiida_perovskite.learning.cnn import TrainingSettings
    from aiida_perovskite.learning.gap_model import GapModel
    from aiida_perovskite.learning.selection import SelectionSettings, select
    from aiida_perovskite.workflows.protocols import load_protocol

    dataset = load_dataset("halide-gaps-gpaw")
    training = TrainingSettings.from_dict(settings)
    formulas = dataset.frame["formula"].tolist()
    model = GapModel.train(formulas, dataset.frame[dataset.target].to_numpy(), training, target=dataset.target)
    space = pd.DataFrame(describe(halide_space()))
    # After two epochs the gaps are wrong, so the window goes where they are.
    gaps = model.predict(space["formula"].tolist())["gap_ev"]
    low, high = (float(edge) for edge in gaps.quantile([0.02, 0.98]).round(2))
    predictions = model.predict(space["formula"].tolist(), window_ev=(low, high))
    rules = {**load_protocol("screening")["selection"], "window_ev": [low, high], "n_candidates": 4}
    chosen, stages = select(predictions.merge(space, on="formula"), SelectionSettings.from_dict(rules), set(formulas))
    return SimpleNamespace(
        dataset=dataset,
        model=model,
        settings=training.to_dict(),
        space=space,
        predictions=predictions,
        rules=rules,
        selection=chosen,
        stages=stages,
    )


@pytest.fixture(scope="package")
def campaign(aiida_profile: Any, trained: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished campaign: two compounds with everything, one gapless in PBE, one that failed and a reference."""
    return store_campaign(trained, tmp_path_factory.mktemp("model"), "demo <b>campaign</b>")


@pytest.fixture(scope="package")
def running_campaign(aiida_profile: Any, trained: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same campaign while its model is still being trained."""
    return store_campaign(trained, tmp_path_factory.mktemp("model"), "running", stop_after="train")


@pytest.fixture(scope="package")
def interpreted() -> SimpleNamespace:
    """Small level networks of two prior weights on a third of the shipped gaps, and their families."""
    from report.interpretation_nodes import QUICK, SMALL, train_and_analyse

    from aiida_perovskite.datasets import load_dataset

    dataset = load_dataset("halide-gaps-gpaw")
    frame = dataset.frame.iloc[::3][["formula", dataset.target]].reset_index(drop=True)
    return train_and_analyse(frame, dataset.target, [0.0, 1e-3], SMALL, QUICK)


@pytest.fixture(scope="package")
def interpretation(aiida_profile: Any, interpreted: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An interpretation with three prior weights, the training of one of which failed."""
    from report.interpretation_nodes import FAILING, Interpretation

    return Interpretation(interpreted, tmp_path_factory.mktemp("models")).store(failing=FAILING)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """A browser without a network; tests of pages share it."""
    from report.browser import open_chromium

    with open_chromium() as driver:
        yield driver


@pytest.fixture(scope="package")
def benchmark_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a small benchmark of generators, a table of training-set sizes, and the report."""
    from report.benchmark_files import write_files, write_sizes

    from aiida_perovskite.report.benchmark_render import write_benchmark

    folder = write_files(tmp_path_factory.mktemp("benchmark"))
    write_benchmark(folder, folder / "report.html", write_sizes(folder / "sizes.csv"))
    return folder


def store_campaign(trained: SimpleNamespace, folder: Path, name: str, stop_after: str | None = None) -> Any:
    """Store the campaign and return the node of its ScreeningWorkChain."""
    return Builder(trained, folder, name).build(stop_after)


def process(kind: str, label: str, caller: Any = None, link: str = "", **inputs: Any) -> Any:
    """Store a process node with its caller and its inputs."""
    from aiida import orm
    from aiida.common import LinkType

    node = {"work": orm.WorkChainNode, "function": orm.CalcFunctionNode, "job": orm.CalcJobNode}[kind]()
    computes = kind != "work"
    node.set_process_label(label)
    node.set_process_state("running" if kind == "work" else "finished")
    node.base.attributes.set("version", {"core": "2.9.4", "plugin": "0.1.0"})
    for name, data in inputs.items():
        data.store()
        node.base.links.add_incoming(data, LinkType.INPUT_CALC if computes else LinkType.INPUT_WORK, name)
    if caller is not None:
        node.base.links.add_incoming(caller, LinkType.CALL_CALC if computes else LinkType.CALL_WORK, link)
    if kind == "job":
        node.computer = inputs["code"].computer
        node.set_option("resources", {"num_machines": 1})
    return node.store()


def end(node: Any, status: int = 0, message: str | None = None, **outputs: Any) -> None:
    """Finish a process: calculations create their outputs, WorkChains return them."""
    from aiida import orm
    from aiida.common import LinkType

    link = LinkType.RETURN if isinstance(node, orm.WorkChainNode) else LinkType.CREATE
    for name, data in outputs.items():
        data.base.links.add_incoming(node, link, name)
        data.store()
    node.set_process_state("finished")
    node.set_exit_status(status)
    node.set_exit_message(message)


def table(frame: Any, name: str, **extra: Any) -> Any:
    from aiida_perovskite.data.table import CompositionTableData

    return CompositionTableData.from_frame(frame, name=name, **extra)


def text_file(content: str, filename: str) -> Any:
    from aiida import orm

    return orm.SinglefileData(io.BytesIO(content.encode()), filename=filename)


def crystal(formula: str, x: float = 0.2512, a: float = 11.2) -> Any:
    """The Fm-3m prototype as a structure node."""
    from aiida import orm

    from aiida_perovskite.chemistry import Composition, prototype_atoms

    atoms = prototype_atoms(Composition.parse(formula), lattice_angstrom=a, x_halide=x)
    atoms.set_initial_magnetic_moments(None)
    return orm.StructureData(ase=atoms)


def bands(gap: float, spread: float, spinors: bool) -> Any:
    """Levels on the 2x2x2 grid with the edges at X and L, relative to the highest occupied one."""
    from aiida import orm

    random = np.random.default_rng(round(1000 * gap))
    valence, conduction = -random.uniform(0.05, 3.5, (8, 14)), gap + random.uniform(0.1, 4.0, (8, 8))
    for star in (slice(1, 4), slice(4, 8)):  # equivalent points have equal levels
        valence[star], conduction[star] = valence[star][0], conduction[star][0]
    valence[1:4, 0], conduction[4:8, 0] = 0.0, gap
    energies = np.sort(np.hstack([valence * spread, conduction]), axis=1)
    node = orm.BandsData()
    node.set_cell(np.eye(3))
    node.set_kpoints(np.array(KPOINTS), weights=np.full(8, 1 / 8))
    node.set_bands(np.repeat(energies, 2, axis=1) if spinors else energies, units="eV")
    return node


def gap_properties(gap: float, gapless: bool) -> dict[str, Any]:
    """Numbers as the GPAW step gives them."""
    pbe = 0.0 if gapless else 0.45 * gap
    values: dict[str, Any] = {}
    for level, value in (("pbe", pbe + 0.02), ("pbe_soc", pbe), ("hse06", gap + 0.08), ("hse06_soc", gap)):
        suffix = "" if level == "hse06_soc" else f"_{level}"
        values |= {f"gap_{level}_ev": value, f"raw_gap_{level}_ev": value, f"direct_gap_{level}_ev": value + 0.61}
        values |= {f"vbm_k{suffix}": "0.5 0.5 0", f"cbm_k{suffix}": "0.5 0 0", f"vbm_label{suffix}": "X"}
        values |= {f"cbm_label{suffix}": "L"}
    return values | {
        "a_angstrom": 11.2,
        "x_halide": 0.2512,
        "x_chgnet": 0.2467,
        "x_pbe": 0.2499 if gapless else 0.2512,
        "force_on_halide_ev_per_angstrom": 0.08,
        "energy_pbe_ev_per_cell": -31.4,
        "pbe_gapless": gapless,
        "warnings": ["PBE has no gap: the non-self-consistent hybrid gap starts from a metal and is not to be trusted"]
        if gapless
        else [],
        "cpu_s": {"pbe": 21.4, "hse06": 25.2, "total": 51.3},
        "versions": {"gpaw": "26.7.0", "gpaw_data": "1.2.1", "ase": "3.29.0", "numpy": "2.4.0", "libxc": "6.0.0"},
    }


class Builder:
    """Stores a campaign in the order in which the WorkChains would."""

    def __init__(self, trained: SimpleNamespace, folder: Path, name: str) -> None:
        self.trained, self.folder, self.name = trained, folder, name
        self.window: list[float] = trained.rules["window_ev"]

    def build(self, stop_after: str | None) -> Any:
        """Store everything; ``stop_after="train"`` leaves the campaign while it trains."""
        from aiida import orm

        self.screening = process("work", "ScreeningWorkChain", **self.inputs())
        orm.Group(label=self.name).store().add_nodes(self.screening)
        self.enumerate()
        self.train(finished=stop_after != "train")
        if stop_after == "train":
            return self.screening
        self.predict()
        ends = [self.candidate(index, formula) for index, formula in enumerate([*self.chosen[:4], REFERENCE])]
        self.collect({formula: gap for formula, gap in ends if gap is not None})
        outputs = {"space": self.space, "predictions": self.predictions, "selection": self.selection}
        outputs |= {"funnel": self.funnel, "results": self.results, **self.learned}
        end(self.screening, **outputs)
        return self.screening

    def inputs(self) -> dict[str, Any]:
        """Inputs of the screening."""
        from aiida import orm

        computer = orm.Computer.collection.get_or_create(
            label="localhost",
            hostname="localhost",
            transport_type="core.local",
            scheduler_type="core.direct",
            workdir="/tmp/aiida",
        )[1]
        computer.store()
        code = orm.InstalledCode(label="python", computer=computer, filepath_executable="/usr/bin/python3").store()
        dataset, rules = self.trained.dataset, self.trained.rules
        card = dataset.card
        source = {"title": card.title, "citation": card.citation, "licence": card.licence, "note": HOSTILE}
        self.dataset = table(dataset.frame, dataset.name, origin=source).store()
        self.training = orm.Dict(self.trained.settings).store()
        self.prediction = orm.Dict({"confidence": 0.9, "window_ev": self.window}).store()
        self.code, self.target = code, orm.Str(dataset.target).store()
        self.steps = {
            "relax__engine": orm.Str("chgnet"),
            "relax__code": code,
            "gap__engine": orm.Str("gpaw"),
            "gap__code": code,
            "relax__parameters": orm.Dict({"max_force_ev_per_angstrom": 0.01}).store(),
            "gap__parameters": orm.Dict({"kpoints": [2, 2, 2], "cutoff_ev": 300}).store(),
        }
        return {
            "dataset": self.dataset,
            "known__dataset": self.dataset,
            "target": self.target,
            "training": self.training,
            "code_learning": code,
            "space": orm.Dict({"preset": "halide"}),
            "selection": orm.Dict(rules),
            "prediction": self.prediction,
            "max_concurrent": orm.Int(2),
            "references": orm.List([REFERENCE]),
            **self.steps,
        }

    def enumerate(self) -> None:
        """Store the space."""
        parameters = self.screening.inputs.space
        node = process("function", "enumerate_space", self.screening, "CALL", parameters=parameters)
        self.space = table(self.trained.space, "space")
        end(node, result=self.space)

    def train(self, finished: bool) -> None:
        """Store the training and what it gave."""
        from aiida import orm

        from aiida_perovskite.data.model import ModelCheckpointData

        given = {"dataset": self.dataset, "target": self.target, "settings": self.training, "code": self.code}
        work = process("work", "TrainModelWorkChain", self.screening, "train", **given)
        job = process(
            "job",
            "ShellJob",
            work,
            "training",
            code=self.code,
            nodes__table=self.dataset,
            nodes__settings=self.training,
        )
        if not finished:
            return
        model = self.trained.model
        model.save(self.folder)
        self.learned = {
            "model": ModelCheckpointData.from_folder(self.folder),
            "metrics": orm.Dict(model.metrics),
            "cross_validation": table(model.cross_validation, "cross-validation"),
            "history": table(model.history, "history"),
            "learning_curve": table(model.learning_curve, "learning-curve"),
        }
        end(job, **self.learned)
        end(work, **self.learned)

    def predict(self) -> None:
        """Store predictions and selection."""
        from aiida import orm

        node = process(
            "function",
            "predict_band_gaps",
            self.screening,
            "CALL",
            model=self.learned["model"],
            space=self.space,
            parameters=self.prediction,
        )
        self.predictions = table(self.trained.predictions, "predictions")
        end(node, result=self.predictions)
        rules = self.screening.inputs.selection
        node = process(
            "function",
            "select_candidates",
            self.screening,
            "CALL",
            predictions=self.predictions,
            space=self.space,
            settings=rules,
            dataset=self.dataset,
        )
        self.selection = table(self.trained.selection, "selection")
        self.funnel = orm.Dict({"stages": self.trained.stages})
        end(node, selection=self.selection, funnel=self.funnel)
        self.chosen = self.trained.selection.query("chosen")["formula"].tolist()

    def candidate(self, index: int, formula: str) -> tuple[str, Any]:
        """Store one candidate; the second is gapless in PBE and the third fails, the others come to everything."""
        from aiida import orm

        name = orm.Str(formula).store()
        window = orm.List(self.window).store()
        work = process(
            "work",
            "CandidateWorkChain",
            self.screening,
            f"candidate_{formula}",
            formula=name,
            window_ev=window,
            **self.steps,
        )
        build = process("function", "build_prototype", work, "CALL", formula=name)
        start = crystal(formula, 0.25)
        end(build, structure=start)
        relaxed, geometry = self.step(
            work,
            "relax",
            start,
            {
                "structure": crystal(formula, 0.2467),
                "results": orm.Dict(
                    {
                        "a_angstrom": 11.2,
                        "x_chgnet": 0.2467,
                        "energy_chgnet_r2scan_ev_per_cell": -38.2,
                        "cpu_s": 4.2,
                        "versions": {"chgnet": "0.4.2", "torch": "2.13.0"},
                    }
                ),
            },
        )
        if index == 2:
            self.step(work, "gap", relaxed, None)
            end(work, 402, f"band gap failed: the density did not converge in 150 steps {HOSTILE}", geometry=geometry)
            return formula, None
        low, high = self.window
        value = ((low + high) / 2, 0.7 * low, 0.0, low + 0.1 * (high - low), 1.9)[index]
        results = orm.Dict(gap_properties(value, gapless=index == 1))
        outputs = {"structure": crystal(formula), "results": results}
        for key, size, spread in (("pbe", 0.45 * value, 0.8), ("hse06", value + 0.08, 1.0), ("hse06_soc", value, 1.05)):
            outputs[f"bands_{key}"] = bands(size, spread, spinors=key == "hse06_soc")
        structure, gap = self.step(work, "gap", relaxed, outputs)
        judge = process("function", "judge_candidate", work, "CALL", gap=gap, window_ev=window)
        passed = low <= value <= high
        where = "in" if passed else "outside"
        verdict = orm.Dict(
            {"stage": "gap", "passed": passed, "reason": f"gap of {value:.2f} eV lies {where} {low:g}-{high:g} eV"}
        )
        end(judge, result=verdict)
        levels = {key: node for key, node in outputs.items() if key.startswith("bands")}
        more = self.cell(work, formula, structure, value, (-12.0, 0, 0, 25.0, 4.0)[index]) if index != 1 else {}
        end(work, structure=structure, geometry=geometry, gap=gap, verdict=verdict, **levels, **more)
        return formula, gap

    def cell(self, work: Any, formula: str, structure: Any, gap: float, enthalpy: float) -> dict[str, Any]:
        """Store what makes a compound a solar cell, from one job."""
        job = process("job", "ShellJob", work, "cell", code=self.code, nodes__structure=structure)
        outputs = everything(formula, gap, enthalpy) | {"relaxed__structure": crystal(formula, 0.2467, 11.1)}
        end(job, **outputs)
        return outputs

    def step(self, work: Any, name: str, structure: Any, outputs: dict[str, Any] | None) -> Any:
        """Store a WorkChain and its job; without outputs both fail."""
        parameters = self.steps[f"{name}__parameters"]
        step = process(
            "work", f"{name.title()}WorkChain", work, name, structure=structure, parameters=parameters, code=self.code
        )
        writer = process("function", f"write_{name}_input", step, "CALL", structure=structure, parameters=parameters)
        file = text_file('{"parameters": {}}', "input.json")
        end(writer, result=file)
        script = text_file("#!/usr/bin/env python\nprint('eV/Angstrom')\n", f"{name}.py")
        job = process("job", "ShellJob", step, "iteration_01", code=self.code, nodes__input=file, nodes__script=script)
        if outputs is None:
            message = "the density did not converge in 150 steps"
            end(job, 410, message)
            end(step, 400, message)
            return None
        end(job, **outputs)
        end(step, **outputs)
        return outputs["structure"], outputs["results"]

    def collect(self, gaps: dict[str, Any]) -> None:
        """Store the table of results."""
        import pandas as pd

        frame = pd.DataFrame(
            [{"formula": formula, "gap_hse06_soc_ev": gap["gap_hse06_soc_ev"]} for formula, gap in gaps.items()]
        )
        inputs = {f"gap_{formula}": gap for formula, gap in gaps.items()}
        node = process("function", "collect_results", self.screening, "CALL", selection=self.selection, **inputs)
        self.results = table(frame, "results")
        end(node, result=self.results)
