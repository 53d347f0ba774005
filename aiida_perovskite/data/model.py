"""Checkpoint of a trained model as one node."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiida.common.exceptions import ValidationError
from aiida.orm import Data
from aiida.orm.implementation.utils import clean_value
from aiida.orm.pydantic import OrmMetadataField

if TYPE_CHECKING:
    from aiida_perovskite.learning.gap_model import GapModel
    from aiida_perovskite.learning.generative.generator import Generator
    from aiida_perovskite.learning.levels.model import LevelModel

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
# Architectures, known here without importing torch: of level models, of gap models, and how those of generators begin.
LEVELS = "LevelNetwork"
GAPS = "PeriodicTableCNN"
GENERATOR = "generator:"
# The files of a generator have these names outside of a node.
GENERATOR_FILES = {WEIGHTS: "generator.safetensors", DESCRIPTION: "generator.json"}


def queryable(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a query can ask for, from the description of a checkpoint."""
    if "class_counts" in content:
        return _of_generator(content)
    names = ("architecture", "target", "seed", "data_sha256", "metrics", "versions")
    # A gap model counts its networks by the scales of their targets; a level model has none.
    n_members = len(content["scales"]) if "scales" in content else content["n_members"]
    counts = {"n_members": n_members, "n_training": len(content["split"])}
    # As AiiDA stores them, with 14 digits: else a checkpoint that caching copies would not equal its description.
    cleaned: dict[str, Any] = clean_value({**{name: content[name] for name in names}, **counts})
    return cleaned


def _of_generator(content: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = clean_value(
        {
            "architecture": GENERATOR + content["name"],
            "target": "formation_energy_ev_per_atom",
            "seed": content["seed"],
            "data_sha256": content["data_sha256"],
            "metrics": {},
            "versions": content.get("versions", {}),
            "n_members": content["settings"].get("members", 1),
            "n_training": sum(content["class_counts"]),
        }
    )
    return cleaned


class ModelCheckpointData(Data):
    """Weights (safetensors) and description (JSON) of a trained model; nothing in it is ever unpickled."""

    class AttributesModel(Data.AttributesModel):
        """What is queryable."""

        architecture: str = OrmMetadataField(description="Name of the network")
        target: str = OrmMetadataField(description="Column it was trained on")
        seed: int = OrmMetadataField(description="Seed of the training")
        n_members: int = OrmMetadataField(description="Networks in the ensemble")
        n_training: int = OrmMetadataField(description="Compounds it was trained on")
        data_sha256: str = OrmMetadataField(description="Digest of the training rows")
        metrics: dict[str, Any] = OrmMetadataField(description="Errors in cross-validation")
        versions: dict[str, str] = OrmMetadataField(description="Versions of the libraries that trained it")

    @classmethod
    def from_folder(cls, folder: Path) -> ModelCheckpointData:
        """Return an unstored node of the checkpoint in ``folder``.

        Raises
        ------
        ValueError
            If a file is missing or not a checkpoint of a gap model, a level model or a generator.
        """
        from aiida_perovskite.learning.generative import load_generator
        from aiida_perovskite.learning.models import load_model

        if (folder / GENERATOR_FILES[DESCRIPTION]).is_file():
            load_generator(folder)
            return cls._from_files({name: folder / given for name, given in GENERATOR_FILES.items()})
        for name in (WEIGHTS, DESCRIPTION):
            if not (folder / name).is_file():
                raise ValueError(f"{folder.name or folder} holds no {name}, so it is not a checkpoint")
        load_model(folder / WEIGHTS, folder / DESCRIPTION)
        return cls._from_files({name: folder / name for name in (WEIGHTS, DESCRIPTION)})

    @classmethod
    def _from_files(cls, files: dict[str, Path]) -> ModelCheckpointData:
        content = json.loads(files[DESCRIPTION].read_text(encoding="utf-8"))
        node = cls()
        for name, path in files.items():
            node.base.repository.put_object_from_file(str(path), name)
        try:
            node.base.attributes.set_many(queryable(content))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise ValueError(f"{files[DESCRIPTION]} lacks what a node tells of a model ({error!r})") from None
        return node

    @property
    def has_levels(self) -> bool:
        """Whether this is a level model, which explains gaps, and not a gap model, which screens."""
        return bool(self.base.attributes.get("architecture") == LEVELS)

    @property
    def is_generator(self) -> bool:
        """Whether this proposes compositions, and predicts no gaps."""
        return str(self.base.attributes.get("architecture")).startswith(GENERATOR)

    def load_model(self) -> GapModel | LevelModel:
        """Return the model, ready to predict; ValueError if it is a generator."""
        from aiida_perovskite.learning.models import load_model

        self._refuse_generator()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.write_to(folder)
            return load_model(folder / WEIGHTS, folder / DESCRIPTION)

    def load_generator(self) -> Generator:
        """Return the generator, ready to draw; ValueError if this is another model."""
        from aiida_perovskite.learning.generative import load_generator

        self.require_generator()
        with tempfile.TemporaryDirectory() as name:
            self.write_to(Path(name))
            return load_generator(name)

    def require_generator(self) -> None:
        """Raise ValueError if this is no generator."""
        if not self.is_generator:
            raise ValueError(
                f"model {self.pk or self.uuid} predicts gaps and generates nothing: give one that "
                "`aiida-perovskite generate` trained"
            )

    def _refuse_generator(self) -> None:
        if self.is_generator:
            raise ValueError(
                f"model {self.pk or self.uuid} is a generator of compositions (`aiida-perovskite generate`), which "
                "predicts no gaps: give a model that `aiida-perovskite train`, `screen` or `interpret` trained"
            )

    def require_gap_model(self) -> None:
        """Raise ValueError if this is a level model or a generator."""
        self._refuse_generator()
        if self.has_levels:
            raise ValueError(
                f"model {self.pk or self.uuid} is a level network, which explains gaps (`aiida-perovskite explain`): "
                "give a model that `aiida-perovskite train` or `screen` trained"
            )

    def load_gap_model(self) -> GapModel:
        """Return the model; ValueError if it is a level model or a generator."""
        from aiida_perovskite.learning.gap_model import GapModel

        self.require_gap_model()
        model = self.load_model()
        assert isinstance(model, GapModel)
        return model

    def load_level_model(self) -> LevelModel:
        """Return the model; ValueError if it is a gap model or a generator."""
        from aiida_perovskite.learning.levels.model import LevelModel

        model = self.load_model()
        if not isinstance(model, LevelModel):
            raise ValueError(
                f"model {self.pk or self.uuid} is a gap model without levels: give one that "
                "`aiida-perovskite interpret` trained"
            )
        return model

    def write_to(self, folder: Path) -> None:
        """Write both files of the checkpoint into ``folder``, under the names by which they are loaded."""
        for name in (WEIGHTS, DESCRIPTION):
            given = GENERATOR_FILES[name] if self.is_generator else name
            (folder / given).write_bytes(self.base.repository.get_object_content(name, "rb"))

    @property
    def checkpoint(self) -> dict[str, Any]:
        """The description: architecture, settings, seed, split, data digest, versions, metrics."""
        content: dict[str, Any] = json.loads(self.base.repository.get_object_content(DESCRIPTION, "r"))
        return content

    def _validate(self) -> bool:
        """Refuse a node without its files or whose attributes are not those of its description."""
        super()._validate()
        names = set(self.base.repository.list_object_names())
        if not {WEIGHTS, DESCRIPTION} <= names:
            raise ValidationError(f"a checkpoint holds {WEIGHTS} and {DESCRIPTION}: make it with `from_folder`")
        if self.base.attributes.all != queryable(self.checkpoint):
            raise ValidationError("the attributes of the checkpoint are not those of its description")
        return True
