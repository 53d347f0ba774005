"""Tests that every generator must pass, shipped with the package so that new generators inherit them.

A test class derives from `GeneratorTests` and says what to train::

    class TestMyGenerator(GeneratorTests):
        generator_type = MyGenerator
        settings = MySettings(updates=50)

pytest then collects the tests of the base class.
"""

from __future__ import annotations

import json
from abc import ABC
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import ArrayLike

from ..checkpoint import CheckpointError
from .generator import JSON_FILE, TENSOR_FILE, Generator, GeneratorSettings
from .space import N_COMPOSITIONS, N_ELEMENTS, SITES, GenerativeError, encode, in_space, space_codes
from .table import ElpasoliteTable, Rows

__all__ = ["GeneratorTests", "small_table"]

_CLASS = 4  # well filled in the small table
_SEED = 3


class GeneratorTests(ABC):
    """What holds for any generator."""

    generator_type: ClassVar[type[Generator]]
    settings: ClassVar[GeneratorSettings]
    """Of a training of a few seconds at most."""

    @pytest.fixture(scope="class")
    @classmethod
    def generator(cls) -> Generator:
        """Return a generator trained on `small_table`."""
        return cls.generator_type.fit(small_table(), cls.settings, seed=_SEED)

    def test_samples_are_compositions_of_the_space(self, generator: Generator) -> None:
        """Check shape, type and validity, of every class."""
        for energy_class in np.flatnonzero(generator.class_counts) + 1:
            codes = generator.sample(int(energy_class), 300, seed=0)
            assert codes.shape == (300,)
            assert codes.dtype == np.int64
            assert in_space(codes).all()
        assert len(generator.sample(_CLASS, 0, seed=0)) == 0

    def test_the_seed_decides_the_samples(self, generator: Generator) -> None:
        """Check the same seed in one and in two trainings, and that another seed, or class, is another draw."""
        again = self.generator_type.fit(small_table(), self.settings, seed=_SEED)
        codes = generator.sample(_CLASS, 300, seed=1)
        assert np.array_equal(codes, generator.sample(_CLASS, 300, seed=1))
        assert np.array_equal(codes, again.sample(_CLASS, 300, seed=1))
        assert not np.array_equal(codes, generator.sample(_CLASS, 300, seed=2))

    def test_many_are_trained_together_as_the_seeds_say(self) -> None:
        """Check that there is a generator per seed, and that one table for all is the same as one for each."""
        seeds = [_SEED, _SEED + 1]
        many = self.generator_type.fit_many(small_table(), self.settings, seeds)
        each = self.generator_type.fit_many([small_table(), small_table()], self.settings, seeds)
        assert [generator.seed for generator in many] == seeds
        for one, other in zip(many, each, strict=True):
            assert np.array_equal(one.sample(_CLASS, 300, seed=1), other.sample(_CLASS, 300, seed=1))
        with pytest.raises(GenerativeError, match="1 tables for 2 seeds"):
            self.generator_type.fit_many([small_table()], self.settings, seeds)

    def test_a_saved_generator_draws_the_same_samples(self, generator: Generator, tmp_path: Path) -> None:
        """Check a round trip through files."""
        generator.versions = {"torch": "0.0"}  # as if another library had trained it
        generator.save(tmp_path / "generator")
        loaded = self.generator_type.load(tmp_path / "generator")
        assert loaded.versions == generator.versions
        assert loaded.settings == generator.settings
        assert (loaded.seed, loaded.data_sha256) == (generator.seed, generator.data_sha256)
        assert np.array_equal(loaded.edges, generator.edges)
        assert np.array_equal(loaded.sample(_CLASS, 300, seed=1), generator.sample(_CLASS, 300, seed=1))

    def test_unique_samples_are_different_compositions(self, generator: Generator) -> None:
        """Check sampling without repeats, and that it is the order of the first draws."""
        codes = generator.sample_unique(_CLASS, 20, seed=1)
        assert len(set(codes.tolist())) == 20
        assert np.array_equal(codes[:10], generator.sample_unique(_CLASS, 10, seed=1))

    def test_more_unique_samples_than_the_space_holds_are_refused(self, generator: Generator) -> None:
        """Check the message."""
        with pytest.raises(GenerativeError, match=f"the space holds {N_COMPOSITIONS}"):
            generator.sample_unique(_CLASS, N_COMPOSITIONS + 1, seed=1)

    def test_a_class_that_is_not_there_is_refused(self, generator: Generator) -> None:
        """Check classes out of range and an empty one."""
        for energy_class in (0, 11, -1):
            with pytest.raises(GenerativeError, match=r"no energy class .* from 1 \(lowest\) to 10"):
                generator.sample(energy_class, 1, seed=0)
        edges = np.concatenate([[generator.edges[0] - 1.0], generator.edges[:-1]])
        other = self.generator_type.fit(small_table(edges=edges), self.settings, seed=_SEED)
        with pytest.raises(GenerativeError, match="class 1 is empty in the training table"):
            other.sample(1, 1, seed=0)
        with pytest.raises(GenerativeError, match="must not be negative"):
            generator.sample(_CLASS, -1, seed=0)

    def test_settings_of_another_generator_are_refused(self) -> None:
        """Check the message."""
        with pytest.raises(GenerativeError, match=f"takes {self.generator_type.settings_type.__name__}"):
            self.generator_type.fit(small_table(), GeneratorSettings())

    def test_a_checkpoint_that_will_not_do_is_refused(self, generator: Generator, tmp_path: Path) -> None:
        """Check one of another space, another kind, other data, and a damaged one."""
        generator.save(tmp_path)
        content = json.loads((tmp_path / JSON_FILE).read_text(encoding="utf-8"))
        faults = {
            "another space of compositions": {"elements": ["H", "He"]},
            "of the kind diffusion, not": {"name": "diffusion"},
            "not of the same generator": {"data_sha256": "0"},
            "does not hold a generator of this version": {"settings": {"colour": 1}},
            "no generator of format": {"format": 0},
        }
        # A few bytes must not make a network of terabytes.
        for name, value in {"width": 10**7, "hidden_layers": 10**9}.items():
            if name in content["settings"]:
                described = {"settings": content["settings"] | {name: value}}
                faults |= {f"not those of the network that is described{'.' * (name == 'width')}": described}
        for words, change in faults.items():
            (tmp_path / JSON_FILE).write_text(json.dumps(content | change), encoding="utf-8")
            with pytest.raises(CheckpointError, match=words):
                self.generator_type.load(tmp_path)
        (tmp_path / JSON_FILE).write_text(json.dumps(content), encoding="utf-8")
        weights = (tmp_path / TENSOR_FILE).read_bytes()
        (tmp_path / TENSOR_FILE).write_bytes(weights[: len(weights) // 2])
        with pytest.raises(CheckpointError, match="damaged or truncated"):
            self.generator_type.load(tmp_path)


def small_table(n_compounds: int = 400, *, edges: ArrayLike | None = None) -> ElpasoliteTable:
    """Return a table of invented energies that are sums over the sites, so that any sensible model learns them."""
    random = np.random.default_rng(0)
    codes = random.choice(space_codes(), n_compounds, replace=False)
    of_element = random.normal(size=(len(SITES), N_ELEMENTS))
    of_element[1] = of_element[0]  # A and B are equivalent
    energies = of_element[np.arange(len(SITES)), encode(codes)].sum(axis=1)
    return ElpasoliteTable.from_stored(Rows(codes, energies), edges)
