"""The benchmark of generators: its numbers, and that nothing is computed twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from smooth_elpasolites import smooth_table

from aiida_perovskite.learning.checkpoint import CheckpointError
from aiida_perovskite.learning.generative import benchmark
from aiida_perovskite.learning.generative.baselines import IndependentSites
from aiida_perovskite.learning.generative.benchmark import FRAMES, Benchmark, BenchmarkSettings, run_benchmark
from aiida_perovskite.learning.generative.distributions import js_distance, site_distribution
from aiida_perovskite.learning.generative.metrics import class_metrics
from aiida_perovskite.learning.generative.space import GenerativeError
from aiida_perovskite.learning.generative.study import SAMPLE_SEED
from aiida_perovskite.learning.generative.truth import Truth, TruthSettings
from aiida_perovskite.learning.settings import SettingsError

TABLE = smooth_table(300)
TINY_VAE = {"updates": 30, "width": 16}
SETTINGS: dict[str, Any] = {"fits": 2, "classes": [4], "samples": 400, "seed": 5}


def run(folder: Path, **changes: Any) -> tuple[Benchmark, list[str]]:
    lines: list[str] = []
    settings = BenchmarkSettings.from_dict({"models": {"independent": {}, "vae": TINY_VAE}, **SETTINGS, **changes})
    return run_benchmark(TABLE, settings, folder, say=lines.append), lines


def trained(lines: list[str]) -> list[str]:
    return [line for line in lines if line.endswith("fits done")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def found(folder: Path) -> Benchmark:
    return run(folder)[0]


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth.fit(TABLE, TruthSettings(cross_validate=False))


def test_metrics_are_those_of_the_samples(found: Benchmark, truth: Truth) -> None:
    marks = [
        class_metrics(IndependentSites.fit(TABLE, seed=seed).sample(4, 400, SAMPLE_SEED + seed), 4, truth, TABLE)
        for seed in (5, 6)
    ]
    row = found.metrics.set_index("model").loc["independent"]
    for name in ("precision", "coverage", "js_distance", "unique", "elmd_diversity"):
        values = [getattr(one, name) for one in marks]
        assert row[name] == pytest.approx(np.mean(values))
        assert row[f"{name}_std"] == pytest.approx(np.std(values, ddof=1))
    assert (row["fits"], row["fits_failed"], row["updates"]) == (2, 0, 0)
    assert found.metrics.set_index("model").loc["vae", "updates"] == 30
    assert found.fits.loc[found.fits["model"] == "independent", "seed"].tolist() == [5, 6]


def test_the_thesis_is_quoted_beside_its_own_table_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    settings = {"models": {"random": {}}, "fits": 1, "classes": [1], "samples": 10_000}
    assert run(folder, **settings)[0].metrics["model"].tolist() == ["random"]
    monkeypatch.setattr(benchmark, "THESIS_CLASS_COUNTS", tuple(TABLE.counts.tolist()))
    assert "thesis_gan" in run(folder, **settings)[0].metrics["model"].tolist()


def test_curves_end_at_the_metrics(found: Benchmark) -> None:
    last = found.saturation.groupby("model").last()
    metrics = found.metrics.set_index("model")
    assert (last["n_valid"] == 400).all()
    for name in ("novel", "coverage", "rediscovered"):
        assert last[name].to_dict() == pytest.approx(metrics[name].to_dict())


def test_distributions_and_distances(found: Benchmark, truth: Truth) -> None:
    assert np.allclose(found.elements.groupby(["source", "site"])["share"].sum(), 1)
    assert np.allclose(found.energies.groupby("source")["share"].sum(), 1)
    assert set(found.energies["source"]) == {"truth", "training", "independent", "vae"}
    matrix = found.js_matrix.set_index(["set", "class"])
    own = matrix.loc["truth"].to_numpy()
    assert np.allclose(np.diag(own), 0)
    assert np.allclose(own, own.T)
    expected = js_distance(site_distribution(TABLE.codes_of_class(4)), truth.element_distribution(7))
    assert matrix.loc[("training", 4), "truth_class_7"] == pytest.approx(expected)


def test_only_what_is_missing_is_computed(found: Benchmark, folder: Path) -> None:
    again, lines = run(folder)
    assert trained(lines) == []
    pd.testing.assert_frame_equal(again.metrics, found.metrics)

    more, lines = run(folder, classes=[4, 5], fits=3)
    assert trained(lines) == ["independent: 1 of 1 fits done", "vae: 1 of 1 fits done"]
    assert more.metrics["class"].tolist() == [4, 4, 5, 5]
    assert list(folder.rglob("training-*")) == []
    first = more.fits[(more.fits["class"] == 4) & (more.fits["seed"] < 7)]
    pd.testing.assert_frame_equal(first.reset_index(drop=True), found.fits)


def test_files_say_how_they_came_about(found: Benchmark, tmp_path: Path) -> None:
    found.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*(f"{name}.csv" for name in FRAMES), "metrics.json"}
    content = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert content["data"]["table_sha256"] == TABLE.sha256
    assert content["settings"]["models"]["vae"]["updates"] == 30
    assert content["seeds"] == {"fits": [5, 6], "draws": [1005, 1006]}
    assert {"torch", "aiida-perovskite"} <= set(content["versions"])
    assert len(content["metrics"]) == len(pd.read_csv(tmp_path / "metrics.csv")) == 2


def test_a_fit_without_valid_samples_is_counted_and_sinks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IndependentSites, "_propose", lambda self, energy_class, n, random: np.full(n, -1))
    found, lines = run(tmp_path, models={"independent": {}, "random": {}})
    rows = found.metrics.set_index("model")
    assert rows["fits_failed"].to_dict() == {"independent": 2, "random": 0}
    assert np.isnan(rows.loc["independent", "precision"])
    assert rows.loc["random", "fits"] == 2
    assert "gave 0 valid compositions" in found.fits["error"][0]
    assert any("gave 0 valid compositions" in line for line in lines)


def test_what_will_not_do_is_said(folder: Path, found: Benchmark) -> None:
    for changes, words in (
        ({"models": {}}, "Name at least one model"),
        ({"models": {"flow": {}}}, "There is no generator 'flow'"),
        ({"models": {"vae": {"updatez": 3}}}, "updatez"),
        ({"models": {"vae": 3}}, "models must map names to settings"),
        ({"classes": [0]}, "numbers from 1 to 10"),
        ({"classes": []}, "numbers from 1 to 10"),
        ({"fits": 0}, "fits = 0 is out of its range"),
        ({"fits": 1.5}, "must be whole numbers"),
        ({"samples": 0}, "samples = 0"),
        ({"fitz": 1}, "fitz"),
    ):
        with pytest.raises((SettingsError, GenerativeError), match=words):
            BenchmarkSettings.from_dict(changes)
    damaged = next(folder.rglob("independent-*-class4-400.json"))
    content = damaged.read_text()
    damaged.write_text(content[:50])
    with pytest.raises(CheckpointError):
        run(folder)
    damaged.write_text("{}")
    with pytest.raises(CheckpointError, match="does not hold what is measured"):
        run(folder)
    damaged.write_text(content)


def test_an_empty_class_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    energies = TABLE.energies_ev_per_atom
    low = TABLE.from_stored(TABLE.rows_as_stored, np.linspace(energies.min(), energies.max() + 9, 11))
    settings = BenchmarkSettings.from_dict({"models": {"random": {}}, "classes": [10]})
    with pytest.raises(GenerativeError, match="class 10 is empty"):
        run_benchmark(low, settings, tmp_path)
    assert list(tmp_path.iterdir()) == []
