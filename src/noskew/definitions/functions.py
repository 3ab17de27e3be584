"""Python functions as data: an import path and a digest of the source they depend on."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from noskew.errors import DefinitionError

_PARSE_TRIES = 10


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A module-level function: ``path`` is ``package.module:name``.

    ``digest`` covers the function's source and, transitively, every module-level function,
    class, constant and import of the same module that it names. What other modules do is
    covered only by their import lines.
    """

    path: str
    digest: str

    def load(self) -> Callable[..., Any]:
        """Import the function. Raises DefinitionError if it is gone or its source changed."""
        module_name, _, name = self.path.partition(":")
        try:
            function = getattr(importlib.import_module(module_name), name)
        except (ImportError, AttributeError) as error:
            raise DefinitionError(
                f"cannot import the function {self.path!r}: {error}; the module that defines it "
                f"must be importable where features are computed"
            ) from error
        reference = function_ref(function, "function")
        if reference.digest != self.digest:
            raise DefinitionError(
                f"the source of {self.path!r} differs from the one that was applied; "
                f"run plan and apply again, or restore the old source"
            )
        return function  # type: ignore[no-any-return]


def function_ref(function: Callable[..., Any], what: str) -> FunctionRef:
    """Describe a function. Raises DefinitionError for lambdas, closures and methods."""
    name = getattr(function, "__qualname__", "")
    module = getattr(function, "__module__", None)
    if not inspect.isfunction(function) or "<" in name or "." in name or not module:
        raise DefinitionError(
            f"{what}: expected a function defined at the top of a module, got {function!r}; "
            f"lambdas, methods and nested functions cannot be imported by name"
        )
    try:
        source = inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError) as error:
        raise DefinitionError(
            f"{what}: the source of {module}.{name} cannot be read; define it in a file"
        ) from error
    return FunctionRef(f"{module}:{name}", _source_digest(source, name, what))


def _source_digest(source: str, name: str, what: str) -> str:
    statements = _parsed(source)
    defined: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        for bound in _bound_names(statement):
            defined.setdefault(bound, []).append(statement)
    if name not in defined:
        raise DefinitionError(f"{what}: no top-level definition of {name!r} in its module")
    needed: set[int] = set()
    queue = [name]
    seen = set(queue)
    while queue:
        for statement in defined.get(queue.pop(), []):
            needed.add(id(statement))
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and node.id not in seen and node.id in defined:
                    seen.add(node.id)
                    queue.append(node.id)
    texts = [_text(source, s) for s in statements if id(s) in needed]
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()


def _parsed(source: str) -> list[ast.stmt]:
    """The statements of a module's source.

    Python 3.11 keeps one recursion counter for all threads while it makes an AST, and raises
    SystemError when two make one at the same time. The same call succeeds a moment later.
    """
    for _ in range(_PARSE_TRIES):
        with suppress(SystemError):
            return ast.parse(source).body
    return ast.parse(source).body


def _text(source: str, statement: ast.stmt) -> str:
    """The source of a statement, its decorators included."""
    parts = [*getattr(statement, "decorator_list", []), statement]
    return "\n".join(ast.get_source_segment(source, part) or "" for part in parts)


def _bound_names(statement: ast.stmt) -> set[str]:
    """The module-level names that a statement defines or changes, in branches too."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(
            node.ctx, ast.Store
        ):
            names |= {n.id for n in ast.walk(_base(node)) if isinstance(n, ast.Name)}
    return names


def _base(target: ast.expr) -> ast.expr:
    """What an assignment changes: ``a`` of ``a.b[c] = …``."""
    while isinstance(target, (ast.Attribute, ast.Subscript)):
        target = target.value
    return target
