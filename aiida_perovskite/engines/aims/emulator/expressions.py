"""Expressions of the parametric symmetry block, such as ``(1.0/2.0)*a``: parameters with number coefficients."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiida_perovskite.engines.aims.emulator.errors import AbortRun

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|([-+*/()]))")

Affine = NDArray[np.float64]
"""``[constant, coefficient of the first parameter, ...]``."""


def parse_expression(text: str, parameters: Sequence[str]) -> Affine:
    """Return an expression as an affine function of the parameters.

    Parameters
    ----------
    text
        Numbers, names of parameters, ``+ - * /`` and brackets.
    parameters
        Their names.

    Returns
    -------
    Affine
        Of length ``1 + len(parameters)``.

    Raises
    ------
    AbortRun
        If the text does not parse, names an unknown parameter, or is not affine.
    """
    parser = _Parser(text, parameters)
    value = parser.sum()
    if parser.tokens:
        raise AbortRun(f"Symmetry block: cannot parse the expression '{text.strip()}'.")
    return value


class _Parser:
    """Recursive descent; a value on the way up is an affine function."""

    def __init__(self, text: str, parameters: Sequence[str]) -> None:
        self.text = text.strip()
        self.names = list(parameters)
        self.tokens: list[str] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error()
            self.tokens.append(match.group().strip())
            position = match.end()

    def error(self) -> AbortRun:
        return AbortRun(f"Symmetry block: cannot parse the expression '{self.text}'.")

    def sum(self) -> Affine:
        value = self.product()
        while self.tokens and self.tokens[0] in "+-":
            sign = 1.0 if self.tokens.pop(0) == "+" else -1.0
            value = value + sign * self.product()
        return value

    def product(self) -> Affine:
        value = self.signed()
        while self.tokens and self.tokens[0] in "*/":
            operator, other = self.tokens.pop(0), self.signed()
            if operator == "/":
                if np.any(other[1:]) or other[0] == 0.0:
                    raise AbortRun(f"Symmetry block: '{self.text}' divides by a parameter or by zero.")
                value = value / other[0]
            elif not np.any(other[1:]):
                value = value * other[0]
            elif not np.any(value[1:]):
                value = other * value[0]
            else:
                raise AbortRun(f"Symmetry block: '{self.text}' multiplies parameters by each other.")
        return value

    def signed(self) -> Affine:
        if self.tokens and self.tokens[0] in "+-":
            return self.signed() if self.tokens.pop(0) == "+" else -self.signed()
        return self.atom()

    def atom(self) -> Affine:
        if not self.tokens:
            raise self.error()
        token = self.tokens.pop(0)
        if token == "(":
            value = self.sum()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise self.error()
            return value
        value = np.zeros(1 + len(self.names))
        if token[0].isdigit() or token[0] == ".":
            value[0] = float(token)
        elif token in self.names:
            value[1 + self.names.index(token)] = 1.0
        elif token[0].isalpha() or token[0] == "_":
            raise AbortRun(f"Symmetry block: unknown parameter '{token}' in '{self.text}'.")
        else:
            raise self.error()
        return value
