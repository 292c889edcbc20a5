"""Which names of TensorRT a module uses, found in its syntax tree.

The class of an object is that of its annotation in the same function, `engine: trt.ICudaEngine`, or
of an attribute anywhere in the module, `self._engine: trt.ICudaEngine`;
the module itself is what is imported as tensorrt, given by `_tensorrt()`, or any `ModuleType`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

MODULE = ""
"""The class of names that belong to the module itself."""
_PACKAGE = "tensorrt"
_GIVES_MODULE = "_tensorrt"
_MODULE_TYPE = "ModuleType"


def uses(path: Path) -> set[tuple[str, str]]:
    """(class, name) of everything of TensorRT that the module at `path` uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = _modules(tree)
    attributes = _attributes(tree)
    found = {(MODULE, kind) for kind in attributes.values()}
    for scope in ast.walk(tree):
        if isinstance(scope, (ast.Module, ast.FunctionDef)):
            classes = _classes(scope) | attributes
            found |= {(MODULE, kind) for kind in classes.values()}
            for node in _inside(scope):
                if isinstance(node, ast.Attribute):
                    found |= set(_use(node, modules, classes))
    return found


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """What is in a scope and in none within it."""
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, ast.FunctionDef):
            yield from _inside(node)


def _use(
    node: ast.Attribute, modules: set[str], classes: dict[str, str]
) -> Iterator[tuple[str, str]]:
    value = node.value
    if _is_module(value, modules):
        yield MODULE, node.attr
    elif (name := ast.unparse(value)) in classes:
        yield classes[name], node.attr
    elif isinstance(value, ast.Attribute) and _is_module(value.value, modules):
        yield value.attr, node.attr


def _is_module(node: ast.expr, modules: set[str]) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == _GIVES_MODULE
    return isinstance(node, ast.Name) and node.id in modules


def _modules(tree: ast.Module) -> set[str]:
    """Names that stand for the module, wherever they are used."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname or each.name for each in node.names if each.name == _PACKAGE}
        elif isinstance(node, ast.Assign) and _is_module(node.value, set()):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name):
            found |= {node.arg} if node.annotation.id == _MODULE_TYPE else set()
    return found


def _attributes(tree: ast.Module) -> dict[str, str]:
    """`self.name` -> its class."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            for kind in _kinds(node.annotation):
                found[ast.unparse(node.target)] = kind
    return found


def _kinds(annotation: ast.expr) -> Iterator[str]:
    for part in ast.walk(annotation):
        if isinstance(part, ast.Attribute) and _is_module(part.value, {"trt", _PACKAGE}):
            yield part.attr


def _classes(scope: ast.AST) -> dict[str, str]:
    """Name of a variable or argument of a scope -> its class."""
    found: dict[str, str] = {}
    for node in _inside(scope):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, annotation = node.target.id, node.annotation
        elif isinstance(node, ast.arg) and node.annotation is not None:
            name, annotation = node.arg, node.annotation
        else:
            continue
        for kind in _kinds(annotation):
            found[name] = kind
    return found
