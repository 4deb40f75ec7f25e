"""Which of the package's own types a public class or function speaks of.

Annotations are texts that are resolved where a type checker reads them, in imports that do not
run; so they are read from the source.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "segops_durable"


def own_names(public: type) -> Iterator[tuple[str, str]]:
    """Yield each member of a class and its bases, with each name of the package in its types."""
    for base in public.__mro__:
        if base.__module__.startswith(PACKAGE):
            tree, names = _read(base.__module__)
            (node,) = (
                each
                for each in tree.body
                if isinstance(each, ast.ClassDef) and each.name == base.__name__
            )
            for member, annotation in _annotations(node):
                for each in ast.walk(annotation):
                    if isinstance(each, ast.Name) and each.id in names:
                        yield f"{base.__name__}.{member}", each.id


def is_documented(name: str) -> bool:
    """Whether a public name has a docstring; an alias has a text below it."""
    found = getattr(import_module(PACKAGE), name)
    if inspect.isclass(found) or inspect.isroutine(found):
        return bool(inspect.getdoc(found))
    module = PACKAGE
    while (origin := _read(module)[1][name]) != module:
        module = origin
    body = _read(module)[0].body
    return any(
        isinstance(one, ast.Assign)
        and ast.unparse(one.targets[0]) == name
        and isinstance(two, ast.Expr)
        and isinstance(two.value, ast.Constant)
        for one, two in itertools.pairwise(body)
    )


def _annotations(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            if not each.target.id.startswith("_"):
                yield each.target.id, each.annotation
        elif isinstance(each, ast.FunctionDef) and (
            each.name.endswith("__") or not each.name.startswith("_")
        ):
            arguments = each.args
            for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if one.annotation is not None:
                    yield each.name, one.annotation
            if each.returns is not None:
                yield each.name, each.returns


@cache
def _read(module: str) -> tuple[ast.Module, dict[str, str]]:
    """A module's tree; and the names of the package in it, with the module that each is from."""
    tree = ast.parse(inspect.getsource(import_module(module)))
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            names.update({each.asname or each.name: str(node.module) for each in node.names})
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = module
        elif isinstance(node, ast.Assign):
            names[ast.unparse(node.targets[0])] = module
    return tree, names
