"""Work that several compounds share: what counts as the same, and whose result is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def key(aiida_profile_clean: Any, emulator_code: Any) -> Callable[..., str]:
    """Return a function that gives the key of an energy with changed inputs."""
    from aiida.orm import Dict, StructureData
    from ase.build import bulk

    from aiida_perovskite.workflows.gpaw.energy import GpawEnergyWorkChain
    from aiida_perovskite.workflows.sharing import shared_key

    def make(workflow: Any = GpawEnergyWorkChain, a: float = 4.1, cutoff: float = 300, **changes: Any) -> str:
        structure = StructureData(ase=bulk("CsCl", "cesiumchloride", a=a))
        given = {"structure": structure, "parameters": Dict({"cutoff_ev": cutoff, "smearing_ev": 0.01})}
        return shared_key(workflow, {**given, "code": emulator_code, **changes})

    return make


def test_equal_content_is_the_same_work(key: Callable[..., str]) -> None:
    from aiida.orm import Dict

    assert key() == key()
    # The order in which settings were written, and where and how long a job may run, change no result.
    assert key() == key(parameters=Dict({"smearing_ev": 0.01, "cutoff_ev": 300}))
    assert key() == key(options={"max_wallclock_seconds": 60, "resources": {"num_machines": 1}})


def test_whatever_changes_the_result_is_other_work(key: Callable[..., str], python_code: Any) -> None:
    from aiida.orm import List, StructureData
    from ase.build import bulk

    from aiida_perovskite.workflows.chgnet.energy import ChgnetEnergyWorkChain

    changed = [
        key(a=4.1001),
        key(cutoff=301),
        key(code=python_code),
        key(ChgnetEnergyWorkChain),
        key(magnetic_moments=List([1.0, 0.0])),
        key(structures={"mine": StructureData(ase=bulk("CsCl", "cesiumchloride", a=4.0))}),
    ]
    assert len({key(), *changed}) == len(changed) + 1


def test_what_succeeded_is_taken_before_what_runs_and_what_failed_never(aiida_profile_clean: Any) -> None:
    from aiida.orm import WorkChainNode

    from aiida_perovskite.workflows.chgnet.phases import ChgnetPhasesWorkChain
    from aiida_perovskite.workflows.sharing import SHARED_KEY, find_shared

    def process(state: str, exit_status: int | None = None, key: str = "wanted") -> Any:
        node = WorkChainNode(process_type=ChgnetPhasesWorkChain.build_process_type()).store()
        node.set_process_state(state)
        if exit_status is not None:
            node.set_exit_status(exit_status)
        node.base.extras.set(SHARED_KEY, key)
        return node

    assert find_shared(ChgnetPhasesWorkChain, "wanted") is None
    for state, status in (("finished", 400), ("killed", None), ("excepted", None)):
        process(state, status)
    process("running", key="other")
    assert find_shared(ChgnetPhasesWorkChain, "wanted") is None
    running = process("waiting")
    assert find_shared(ChgnetPhasesWorkChain, "wanted").uuid == running.uuid
    done = process("finished", 0)
    assert find_shared(ChgnetPhasesWorkChain, "wanted").uuid == done.uuid
    done.seal()
    assert find_shared(ChgnetPhasesWorkChain, "wanted").uuid == done.uuid
    done.base.caching.is_valid_cache = False  # as a user says that it must not be used again
    assert find_shared(ChgnetPhasesWorkChain, "wanted").uuid == running.uuid


def test_a_worker_sees_what_another_process_writes(aiida_profile_clean: Any) -> None:
    """Its session keeps fields of nodes in memory: what it reads must be the database's nevertheless."""
    from aiida.engine.utils import instantiate_process
    from aiida.manage import get_manager
    from aiida.orm import WorkChainNode

    from aiida_perovskite.workflows.sharing import OnceMixin

    class Idle(OnceMixin):
        @classmethod
        def define(cls, spec: Any) -> None:
            super().define(spec)
            spec.outline(cls.rest)

        def rest(self) -> None:
            pass

    node = instantiate_process(get_manager().get_runner(), Idle).node
    node.base.extras.set("first", 1)
    assert not node.backend.get_session().expire_on_commit
    profile = get_manager().get_profile()
    assert profile is not None
    elsewhere = profile.storage_cls(profile)
    twin = WorkChainNode.get_collection(elsewhere).get(uuid=node.uuid)
    twin.base.extras.set("second", 2)
    twin.set_process_state("killed")
    assert node.base.extras.get("second") == 2
    assert node.is_killed
    node.base.extras.set("third", 3)
    assert {name: twin.base.extras.get(name) for name in ("first", "second", "third")} == {
        "first": 1,
        "second": 2,
        "third": 3,
    }
    elsewhere.close()
