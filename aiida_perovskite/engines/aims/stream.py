"""Texts of any size and any content, line by line, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import IO, Any

# Characters read at once: large enough that the loop over blocks costs nothing, small enough that its lines stay below
# ten megabytes of memory.
BLOCK_LENGTH = 1 << 20
# No line that FHI-aims prints is nearly as long; what stands behind it on a damaged line is dropped.
MAX_LINE_LENGTH = 10_000

TextSource = str | os.PathLike[str] | IO[Any] | Iterable[str]


def line_blocks(source: TextSource) -> Iterator[tuple[list[str], str]]:
    r"""Yield the lines of a text in blocks.

    Parameters
    ----------
    source
        A path, an open file (text or binary), or an iterable of lines with or without their newline. Bytes that are
        not UTF-8 are replaced; lines are cut after :data:`MAX_LINE_LENGTH` characters.

    Yields
    ------
    tuple
        Complete lines without their ``\n``, and what follows the last newline read so far. The latter may be half a
        number: nothing is to be read from it.

    Raises
    ------
    OSError
        If a path cannot be opened.
    """
    rest = ""
    for chunk in _chunks(source):
        lines = (rest + chunk).split("\n")
        rest = lines.pop()[:MAX_LINE_LENGTH]
        yield [line[:MAX_LINE_LENGTH] for line in lines], rest


def _chunks(source: TextSource) -> Iterator[str]:
    if isinstance(source, str | os.PathLike):
        # newline="": a lone carriage return does not end a line of FHI-aims.
        with open(source, encoding="utf-8", errors="replace", newline="") as handle:
            yield from iter(lambda: handle.read(BLOCK_LENGTH), "")
    elif hasattr(source, "read"):
        while chunk := source.read(BLOCK_LENGTH):
            yield chunk.decode("utf-8", "replace") if isinstance(chunk, bytes) else chunk
    else:
        yield from _terminated(source)


def _terminated(lines: Iterable[str]) -> Iterator[str]:
    """End every line but the last with a newline: the last one is complete only if it brings its own."""
    previous = None
    for line in lines:
        if previous is not None:
            yield previous if previous.endswith("\n") else previous + "\n"
        previous = line
    if previous is not None:
        yield previous
