"""Submitting a process once: within a WorkChain whose step is repeated, and among WorkChains that want the same."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from aiida.common import LinkType
from aiida.engine import Process, WorkChain
from aiida.manage.caching import get_use_cache
from aiida.orm import AbstractCode, CalcJobNode, Node, ProcessNode, QueryBuilder, load_node

TAKEN = (
    "perovskite_taken"  # extra of a process: label -> UUID of what it took from an earlier one instead of calling it
)
SHARED_KEY = "perovskite_shared_key"  # extra of a process by which another WorkChain that wants the same finds it
CALL, RETURN = "call", "return"  # as the types of links begin
ALIVE = ("created", "running", "waiting")
ABANDONED = timedelta(days=2)  # a phase that has not changed for so long was left behind by an interpreter that ended


class OnceMixin(WorkChain):
    """WorkChains whose steps may run twice: a worker that dies between two checkpoints repeats the last step."""

    def init(self) -> None:
        """Begin, or go on in another worker.

        AiiDA reads a field of a node from the database before it uses or changes it (but for `set_many`, of which
        no worker makes use once a node is stored). That SQLAlchemy, too, forgets all fields of all nodes in memory
        whenever something is written adds nothing, and took a quarter of the worker's time.
        """
        super().init()
        self.node.backend.get_session().expire_on_commit = False  # type: ignore[attr-defined]  # of SQL storages

    @functools.cached_property
    def _links(self) -> dict[tuple[str, str], int]:
        """(Kind, label) of the links to what was called and returned -> identifier of the node.

        Read once, when a worker has taken up the process: nobody else adds to them.
        """
        kinds = [LinkType.CALL_CALC.value, LinkType.CALL_WORK.value, LinkType.RETURN.value]
        query = QueryBuilder().append(ProcessNode, filters={"id": self.node.pk}, tag="process")
        query.append(
            Node,
            with_incoming="process",
            project="id",
            edge_filters={"type": {"in": kinds}},
            edge_project=["type", "label"],
        )
        return {(kind.split("_")[0], label): pk for pk, kind, label in query.all()}

    def submit(self, process: type[Process], inputs: dict[str, Any] | None = None, **kwargs: Any) -> ProcessNode:
        """Submit a process, or return the one that stands under its link label since the step ran for the first time.

        Steps that AiiDA provides are covered too: `BaseRestartWorkChain` labels its runs by their number.
        """
        label = ((kwargs if inputs is None else inputs).get("metadata") or {}).get("call_link_label")
        found = None if label is None else self.submitted(label)
        if found is not None:
            return found
        node: ProcessNode = super().submit(process, inputs, **kwargs)
        if label is not None:
            assert node.pk is not None  # it is stored
            self._links[CALL, label] = node.pk
        return node

    def submit_once(self, label: str, workflow: type[WorkChain], **inputs: Any) -> ProcessNode:
        """Submit a process under a link label, or return the one that was submitted under it before."""
        return self.submit(workflow, **inputs, metadata={"call_link_label": label})

    def out(self, output_port: str, value: Any = None) -> None:
        """Hand out a node, or the one that stands under this label since the step ran for the first time."""
        found = self._links.get((RETURN, output_port.replace(".", "__")))
        super().out(output_port, value if found is None else load_node(found))

    def update_outputs(self) -> None:
        """Attach new outputs; AiiDA asks the database at every change of state, also where nothing was handed out."""
        if self.outputs:
            super().update_outputs()

    def submitted(self, label: str) -> ProcessNode | None:
        """Return the process that was submitted under a link label."""
        found = self._links.get((CALL, label))
        return None if found is None else load_node(found)  # type: ignore[return-value]

    @classmethod
    def content_digests(cls, inputs: Mapping[str, Any]) -> list[str]:
        """Return digests of what the result depends on beside the inputs."""
        return []

    def submit_shared(self, label: str, workflow: type[OnceMixin], **inputs: Any) -> ProcessNode:
        """Return a process with these inputs, whoever called it: one that succeeded, one that runs, or a new one.

        Two workers that ask within the same instant may each submit one: then the work is done twice, which costs time
        but nothing else.
        """
        key = shared_key(workflow, inputs)
        found = find_shared(workflow, key) or self.submitted(label)
        if found is not None:
            return found
        return self._submit_with_key(label, key, workflow, **inputs)

    def take_or_submit(self, label: str, workflow: type[OnceMixin], **inputs: Any) -> ProcessNode:
        """Return a process with these inputs that succeeded before, where AiiDA's caching is on; else submit one.

        AiiDA's cache gives back jobs and functions, each as a process of its own; this gives back a whole WorkChain. No
        link says so: what was taken is written into an extra, :data:`TAKEN`.
        """
        found = self.submitted(label)
        if found is not None:
            return found
        key = shared_key(workflow, inputs)
        if get_use_cache(identifier=workflow.build_process_type()):
            found = next(iter(find_finished(workflow, key)), None)
        if found is not None:
            extras = self.node.base.extras
            extras.set(TAKEN, {**extras.get(TAKEN, {}), label: found.uuid})
            return found
        return self._submit_with_key(label, key, workflow, **inputs)

    def _submit_with_key(self, label: str, key: str, workflow: type[OnceMixin], **inputs: Any) -> ProcessNode:
        """Submit a process that others find by its key."""
        node = self.submit_once(label, workflow, **inputs)
        node.base.extras.set(SHARED_KEY, key)
        return node


class QueueMixin(OnceMixin):
    """WorkChains that keep a number of processes in flight, the rest waiting in ``ctx.queue``."""

    _queued: ClassVar[str]
    """How the link labels of those processes begin."""

    def submit_next(self) -> None:
        """Take the first of the queue, submit its process, and add it to the context under its link label."""
        raise NotImplementedError

    def submit_first(self, number: int) -> None:
        """Submit the first ones of the queue; each one that ends makes room for the next."""
        for _ in range(min(number, len(self.ctx.queue))):
            self.submit_next()

    def ended(self, label: str) -> ProcessNode:
        """Return a process of the queue that has ended."""
        return load_node(self.ctx[label])  # type: ignore[return-value]

    def _resolve_awaitable(self, awaitable: Any, value: Any) -> None:
        """Keep the number of a process that has ended, not its node.

        SQLAlchemy goes through every object in memory at each commit of the worker, so thousands of nodes would slow
        down whatever else it does.
        """
        super()._resolve_awaitable(awaitable, value.pk if awaitable.key.startswith(self._queued) else value)

    def _on_awaitable_finished(self, awaitable: Any) -> None:
        """Keep the given number of processes in flight.

        The base class resumes the outline only when every awaited child has ended; one that ends therefore submits the
        next one here, before the base class looks at what is left. A worker that dies in between repeats this from the
        queue of the last checkpoint, and `submit_next` finds what had been submitted.
        """
        if self.ctx.get("queue") and awaitable.key.startswith(self._queued):
            self.submit_next()
            new = self._awaitables[-1]
            self.runner.call_on_process_finish(
                new.pk, functools.partial(self.call_soon, self._on_awaitable_finished, new)
            )
        super()._on_awaitable_finished(awaitable)


def shared_key(workflow: type[OnceMixin], inputs: Mapping[str, Any]) -> str:
    """Return a digest of a WorkChain, what its result depends on and its inputs' content; job options do not count."""
    parts = [workflow.__name__, *workflow.content_digests(inputs)]
    for path, value in sorted(_leaves(inputs)):
        if isinstance(value, AbstractCode):
            parts.append(f"{path}={value.uuid}")
        elif isinstance(value, Node):
            parts.append(f"{path}={value.store().base.caching.compute_hash()}")  # only stored nodes have one
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def find_shared(workflow: type[WorkChain], key: str) -> ProcessNode | None:
    """Return the process of this key that succeeded, else one that is alive and not abandoned."""
    recent = datetime.now(UTC) - ABANDONED
    nodes = _with_key(workflow, key)
    alive = [node for node in nodes if node.process_state and node.process_state.value in ALIVE and node.mtime > recent]
    return next(iter(find_finished(workflow, key) or alive), None)


def find_finished(workflow: type[WorkChain], key: str) -> list[ProcessNode]:
    """Return the processes of this key that succeeded and may be given back, the oldest first."""
    # Sealed a moment after it has ended, and only then valid for AiiDA.
    return [
        node
        for node in _with_key(workflow, key)
        if node.is_finished_ok and (node.base.caching.is_valid_cache or not node.is_sealed)
    ]


def failed_by_chance(node: ProcessNode) -> bool:
    """Tell whether a step that failed may succeed when it is tried again: it was killed, or its last job was lost."""
    jobs = sorted((one for one in node.called_descendants if isinstance(one, CalcJobNode)), key=lambda one: one.pk or 0)
    return not node.is_finished or not all(job.base.caching.is_valid_cache for job in jobs[-1:])


def _with_key(workflow: type[WorkChain], key: str) -> list[ProcessNode]:
    # The database has an index of types, not of extras: it looks at the processes of this kind only.
    filters = {"process_type": workflow.build_process_type(), f"extras.{SHARED_KEY}": key}
    query = QueryBuilder().append(ProcessNode, filters=filters, tag="process")
    nodes: list[ProcessNode] = query.order_by({"process": "id"}).all(flat=True)
    return nodes


def _leaves(inputs: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in inputs.items():
        if isinstance(value, Mapping) and not isinstance(value, Node):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
