"""Job options by step: what is written for a cluster must reach the jobs, and a mistake must show before they run."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_perovskite.workflows.job_options import checked_options
from aiida_perovskite.workflows.ports import STEPS, TRAIN

KNOWN = {TRAIN, *STEPS}
GPU = "#SBATCH --gres=gpu:1"


def test_options_reach_the_steps_and_the_training(python_code: Any) -> None:
    from aiida_perovskite.cli.common import read_dataset
    from aiida_perovskite.workflows.screening import ScreeningWorkChain

    table, target = read_dataset("halide-gaps-gpaw", None, None)
    builder = ScreeningWorkChain.get_builder_from_protocol(
        {"learning": python_code, "relax": python_code, "gap": python_code},
        dataset=table,
        target=target,
        options={
            "all": {"account": "project", "max_wallclock_seconds": 3600},
            "train": {"custom_scheduler_commands": GPU},
            "bands": {"max_wallclock_seconds": 60},
        },
    )
    assert builder.options_learning == {
        "account": "project",
        "max_wallclock_seconds": 3600,
        "custom_scheduler_commands": GPU,
    }
    assert builder.bands.options == {"account": "project", "max_wallclock_seconds": 60}
    assert builder.free_relax.options == {"account": "project", "max_wallclock_seconds": 3600}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue_name": "short"}, "give them by step"),
        ({"gpa": {"queue_name": "short"}}, "job options of gpa"),
        ({"gap": {"queue": "short"}}, "there is no 'queue'"),
        ({"gap": {"parser_name": "core.arithmetic.add"}}, "there is no 'parser_name'"),
        ({"gap": {"max_wallclock_seconds": "1h"}}, "max_wallclock_seconds cannot be '1h'"),
        ({"gap": {"max_wallclock_seconds": True}}, "max_wallclock_seconds cannot be True"),
        ({"all": ["queue"]}, "names and values"),
        ({"gap": {"withmpi": True}}, "are one process each"),
        ({"all": {"resources": {"nodes": 2}}}, "resources on localhost"),
        ({"all": {"resources": {"num_machines": 0}}}, "resources on localhost"),
    ],
)
def test_mistakes_are_told_before_anything_runs(python_code: Any, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked_options(options, "gap", python_code, KNOWN)


def test_options_of_other_steps_do_not_matter(python_code: Any) -> None:
    """One file serves every command: what it says of the bands is nothing to the gap."""
    found = checked_options({"bands": {"withmpi": True}, "gap": None}, "gap", python_code, KNOWN)
    assert found == {}
