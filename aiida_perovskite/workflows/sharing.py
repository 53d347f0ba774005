"""Submitting a process once: within a WorkChain whose step is repeated, and among WorkChains that want the same."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from aiida.common import LinkType
from aiida.engine import WorkChain
from aiida.orm import AbstractCode, Node, ProcessNode, QueryBuilder

SHARED_KEY = "perovskite_shared_key"  # extra of a process by which another WorkChain that wants the same finds it
ALIVE = ("created", "running", "waiting")
ABANDONED = timedelta(days=2)  # a phase that has not changed for so long was left behind by an interpreter that ended


class OnceMixin(WorkChain):
    """WorkChains whose steps may run twice: a worker that dies between two checkpoints repeats the last step."""

    def submit_once(self, label: str, workflow: type[WorkChain], **inputs: Any) -> ProcessNode:
        """Submit a process under a link label, or return the one that was submitted under it before."""
        found = self.submitted(label)
        if found is not None:
            return found
        return self.submit(workflow, **inputs, metadata={"call_link_label": label})

    def out(self, output_port: str, value: Any = None) -> None:
        """Hand out a node, or the one that stands under this label since the step ran for the first time."""
        label = output_port.replace(".", "__")
        links = self.node.base.links.get_outgoing(link_type=LinkType.RETURN, link_label_filter=label)
        super().out(output_port, next((link.node for link in links), value))

    def submitted(self, label: str) -> ProcessNode | None:
        """Return the process that was submitted under a link label."""
        links = self.node.base.links.get_outgoing(node_class=ProcessNode, link_label_filter=label)
        return next((link.node for link in links), None)  # type: ignore[return-value]

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
        node: ProcessNode = self.submit(workflow, **inputs, metadata={"call_link_label": label})
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
    # The database has an index of types, not of extras: it looks at the processes of this kind only.
    filters = {"process_type": workflow.build_process_type(), f"extras.{SHARED_KEY}": key}
    query = QueryBuilder().append(ProcessNode, filters=filters, tag="process")
    query.order_by({"process": "id"})
    nodes: list[ProcessNode] = query.all(flat=True)
    finished = [node for node in nodes if node.is_finished_ok]
    recent = datetime.now(UTC) - ABANDONED
    alive = [node for node in nodes if node.process_state and node.process_state.value in ALIVE and node.mtime > recent]
    return next(iter(finished + alive), None)


def _leaves(inputs: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in inputs.items():
        if isinstance(value, Mapping) and not isinstance(value, Node):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
