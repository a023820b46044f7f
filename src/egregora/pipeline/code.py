"""Code identity: what a stage's code is, so that a change anywhere in it is seen, and nothing else is.

A digest of the stage's module and of every first-party module that it reaches by import, without comments and docstrings,
of the data files beside them, of what is bound to the function, and of the versions of named distributions. Modules are
found by path and read as text, never imported to look at them.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import inspect
import io
import json
import os
import site
import subprocess
import sys
import sysconfig
import textwrap
import time
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

__all__ = ["MACHINERY", "UnknownCodeError", "code_identity", "get_git_commit"]

MACHINERY = "egregora-machinery/1"
"""Stands in for Egregora's own machinery in every digest. Raise the number when it changes what stages compute."""

_MACHINERY_PARTS = ("cli", "observe", "pipeline", "database", "config", "errors")

_IMPORTED_AT = time.time()


class UnknownCodeError(Exception):
    """A part of the code can't be identified; the run must not be taken for another. Caught by the runner."""


def code_identity(func: Callable[..., Any], distributions: tuple[str, ...] = ()) -> tuple[str, dict[str, str]]:
    """Identify a stage's code.

    Args:
        func: The stage's function, or a `functools.partial`, method, closure or callable instance.
        distributions: Names of installed packages whose versions count.

    Returns:
        The digest (64 hex digits), and its parts: a hash or value for each module, data file, bound value and
        distribution, by name.

    Raises:
        UnknownCodeError: a bound value is no function, module or JSON-like value; a module has been edited since it was
            imported; a distribution isn't installed.
    """
    parts: dict[str, str] = {"machinery": MACHINERY}
    _Walk(parts).callable("function", func)
    for name in distributions:
        try:
            parts[f"distribution {name}"] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise UnknownCodeError(f"the distribution {name} is not installed") from None
    text = json.dumps(sorted(parts.items()), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest(), parts


class _Walk:
    """One walk from a function to all that it is made of."""

    def __init__(self, parts: dict[str, str]) -> None:
        self.parts = parts
        self.modules: set[str] = set()
        self.tops: set[str] = set()
        self.seen: set[int] = set()

    def callable(self, name: str, func: Any) -> None:
        if id(func) in self.seen:
            return
        self.seen.add(id(func))
        if isinstance(func, functools.partial):
            for index, value in enumerate(func.args):
                self.value(f"{name}.args[{index}]", value)
            for key, value in sorted(func.keywords.items()):
                self.value(f"{name}.{key}", value)
            self.callable(name, func.func)
            return
        if inspect.ismethod(func):
            self.value(f"{name}.self", func.__self__)
            self.callable(name, func.__func__)
            return
        wrapped = getattr(func, "__wrapped__", None)
        if wrapped is not None:
            self.callable(f"{name}.wrapped", wrapped)
        if not inspect.isfunction(func):
            if inspect.isbuiltin(func):
                self.parts[name] = f"builtin {func.__module__}.{func.__qualname__}"
                return
            if not callable(func):
                raise UnknownCodeError(f"{name} is not callable")
            if inspect.isclass(func):
                self.parts[name] = f"{func.__module__}.{func.__qualname__}"
                self.origin(func)
                return
            self.value(f"{name}.self", func)
            self.callable(name, type(func).__call__)
            return
        self.parts[name] = f"{func.__module__}.{func.__qualname__}"
        for index, default in enumerate(func.__defaults__ or ()):
            self.value(f"{name}.default[{index}]", default)
        for key, default in sorted((func.__kwdefaults__ or {}).items()):
            self.value(f"{name}.default.{key}", default)
        for free, cell in zip(func.__code__.co_freevars, func.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:
                raise UnknownCodeError(f"{name} closes over {free}, which has no value yet") from None
            self.value(f"{name}.closure.{free}", content)
        self.origin(func)

    def origin(self, thing: Any) -> None:
        """The module of a function or class; its own source where there is no module file."""
        module = sys.modules.get(thing.__module__)
        path = getattr(module, "__file__", None)
        if path is None or not path.endswith(".py"):
            if thing.__module__ in ("builtins", *sys.stdlib_module_names):
                return
            self.bare(thing)
            return
        self.module(thing.__module__, Path(path), root=True)

    def bare(self, thing: Any) -> None:
        """A function typed in (a notebook, a shell): its own source and whatever globals it uses."""
        try:
            source = textwrap.dedent(inspect.getsource(thing))
        except (OSError, TypeError):
            raise UnknownCodeError(f"the source of {thing.__qualname__} can't be found") from None
        self.parts[f"source {thing.__qualname__}"] = _digest_source(source.encode())
        if not inspect.isfunction(thing):
            return
        names = {name for code in _codes(thing.__code__) for name in code.co_names}
        for name in sorted(names & thing.__globals__.keys()):
            self.value(f"{thing.__qualname__}.global.{name}", thing.__globals__[name])

    def value(self, name: str, value: Any) -> None:
        """A bound value: JSON-like, a function, a class, a module, or an instance whose attributes are."""
        if isinstance(value, types.ModuleType):
            self.parts[name] = f"module {value.__name__}"
            path = getattr(value, "__file__", None)
            if path and path.endswith(".py"):
                self.module(value.__name__, Path(path), root=_is_first_party_path(Path(path)))
            return
        if inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, functools.partial):
            self.callable(name, value)
            return
        try:
            self.parts[name] = json.dumps(value, sort_keys=True, allow_nan=True)
            return
        except (TypeError, ValueError):
            pass
        if isinstance(value, (tuple, list)):
            self.parts[name] = f"{type(value).__name__} of {len(value)}"
            for index, item in enumerate(value):
                self.value(f"{name}[{index}]", item)
            return
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            self.parts[name] = f"mapping of {len(value)}"
            for key in sorted(value):
                self.value(f"{name}.{key}", value[key])
            return
        if isinstance(value, (set, frozenset)):
            self.parts[name] = json.dumps(sorted(json.dumps(item) for item in value))
            return
        if isinstance(value, (bytes, bytearray)):
            self.parts[name] = hashlib.sha256(value).hexdigest()
            return
        attributes = (
            {field.name: getattr(value, field.name) for field in fields(value)}
            if is_dataclass(value)
            else getattr(value, "__dict__", None)
        )
        if attributes is None or type(value).__module__ in ("builtins", *sys.stdlib_module_names):
            raise UnknownCodeError(f"{name} is a {type(value).__qualname__}, which has no stable identity")
        if id(value) in self.seen:
            return
        self.seen.add(id(value))
        self.parts[name] = f"{type(value).__module__}.{type(value).__qualname__}"
        self.origin(type(value))
        for key in sorted(attributes):
            self.value(f"{name}.{key}", attributes[key])

    def module(self, name: str, path: Path, *, root: bool) -> None:
        """A module by its file, and what it imports. `root`: its top-level package becomes first-party."""
        if root:
            self.tops.add(name.split(".")[0])
        if name in self.modules or _is_machinery(name):
            return
        self.modules.add(name)
        found = _read(name, path)
        self.parts[f"module {name}" if name != "__main__" else "module __main__"] = found.digest
        if path.name == "__init__.py":
            for data in _data_files(path.parent):
                self.parts[f"file {name}/{data.relative_to(path.parent).as_posix()}"] = _digest_file(data)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for level, target, members in found.imports:
            base = target
            if level:
                parents = package.split(".")
                if len(parents) < level:
                    continue
                base = ".".join([*parents[: len(parents) - level + 1], *([target] if target else [])])
            for wanted in (base, *(f"{base}.{member}" for member in members)):
                self.wanted(wanted)

    def wanted(self, name: str) -> None:
        """A dotted name that some module imports: each part of it that is a first-party module counts."""
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            prefix = ".".join(parts[:end])
            if prefix in self.modules:
                continue
            path = _find(prefix)
            if path is None:
                return
            if parts[0] not in self.tops and not _is_first_party_path(path):
                return
            self.module(prefix, path, root=False)


class _Source:
    """What was read of one module's file: digest and imports, for as long as the file stays as it was."""

    __slots__ = ("digest", "imports", "stamp")

    def __init__(self, stamp: tuple[int, int], digest: str, imports: list[tuple[int, str, tuple[str, ...]]]) -> None:
        self.stamp = stamp
        self.digest = digest
        self.imports = imports


_sources: dict[Path, _Source] = {}
_loaded: dict[str, tuple[Path, str]] = {}
_files: dict[Path, tuple[tuple[int, int], str]] = {}
_found: dict[str, Path | None] = {}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        raise UnknownCodeError(f"{path.name} can't be read") from None
    return status.st_mtime_ns, status.st_size


def _read(name: str, path: Path) -> _Source:
    stamp = _stamp(path)
    source = _sources.get(path)
    if source is None or source.stamp != stamp:
        data = path.read_bytes()
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError):
            raise UnknownCodeError(f"the module {name} on the disk is not valid Python") from None
        source = _Source(stamp, _digest_tree(tree), _imports(tree))
        _sources[path] = source
    module = sys.modules.get(name)
    if module is not None and name != "__main__":
        # The code that runs is what was imported, which must be what is on the disk.
        before = _loaded.get(name)
        if before is None or before[0] != path:
            if stamp[0] / 1e9 > _IMPORTED_AT and _edited_since_import(module, path, stamp):
                raise UnknownCodeError(f"the module {name} was edited after it was imported")
            _loaded[name] = (path, source.digest)
        elif before[1] != source.digest:
            raise UnknownCodeError(f"the module {name} was edited after it was imported")
    return source


def _edited_since_import(module: types.ModuleType, path: Path, stamp: tuple[int, int]) -> bool:
    """Whether a module that was changed after this process began was imported before that change."""
    cached = getattr(module, "__cached__", None)
    try:
        header = Path(cached).read_bytes()[:16] if cached else b""
    except OSError:
        header = b""
    if len(header) == 16 and header[4:8] == b"\0\0\0\0":
        mtime, size = int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:16], "little")
        return (mtime, size) != (int(stamp[0] / 1e9) & 0xFFFFFFFF, stamp[1] & 0xFFFFFFFF)
    try:
        fresh = {code.co_qualname: code.co_code for code in _codes(compile(path.read_bytes(), str(path), "exec"))}
    except (OSError, SyntaxError, ValueError):
        return True
    return any(
        fresh.get(value.__qualname__) != value.__code__.co_code
        for value in vars(module).values()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not hasattr(value, "__wrapped__")
    )


def _codes(code: types.CodeType) -> list[types.CodeType]:
    found = [code]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += _codes(constant)
    return found


def _digest_source(source: bytes) -> str:
    try:
        return _digest_tree(ast.parse(source))
    except SyntaxError:
        # A lambda in the middle of a call: its line as it stands.
        return hashlib.sha256(source).hexdigest()


def _digest_tree(tree: ast.Module) -> str:
    """Hash of a module without comments and docstrings. `ast.unparse` is stable over Python's versions, `dump` is not."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                if isinstance(body[0].value.value, str):
                    node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode("utf-8", "surrogatepass")).hexdigest()


def _imports(tree: ast.Module) -> list[tuple[int, str, tuple[str, ...]]]:
    """What a module imports anywhere in it, as (level, module, members); not what only type checkers read."""
    found: list[tuple[int, str, tuple[str, ...]]] = []
    queue: list[ast.AST] = [tree]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            queue.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            found += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                found.append((0, node.args[0].value, ()))
        queue.extend(ast.iter_child_nodes(node))
    return found


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _is_machinery(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "egregora" and len(parts) > 1 and parts[1] in _MACHINERY_PARTS


def _find(name: str) -> Path | None:
    """The source file of a module, without importing anything."""
    if name not in _found:
        _found[name] = _look(name)
    return _found[name]


def _look(name: str) -> Path | None:
    parent, _, _ = name.rpartition(".")
    search: list[str] | None = None
    if parent:
        above = _find(parent)
        if above is None or above.name != "__init__.py":
            module = sys.modules.get(parent)
            locations = getattr(module, "__path__", None)
            if locations is None:
                return None
            search = list(locations)
        else:
            search = [str(above.parent)]
    elif name in sys.stdlib_module_names:
        return None
    else:
        module = sys.modules.get(name)
        path = getattr(module, "__file__", None)
        if path and path.endswith(".py"):
            return Path(path)
    spec = importlib.machinery.PathFinder.find_spec(name, search)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


@functools.cache
def _library_roots() -> tuple[str, ...]:
    roots = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
    prefix = str(Path(sys.prefix))
    return tuple(sorted(str(Path(root)) + os.sep for root in roots if root and str(Path(root)) != prefix))


def _is_first_party_path(path: Path) -> bool:
    text = str(path)
    if "site-packages" in path.parts or "dist-packages" in path.parts:
        return False
    return not text.startswith(_library_roots())


def _data_files(package: Path) -> list[Path]:
    """Files of a package that aren't Python, in folders that aren't packages themselves (templates, word lists, …)."""
    found = []
    queue = [package]
    while queue:
        folder = queue.pop()
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith((".", "__pycache__")):
                continue
            if entry.is_dir():
                if not (entry / "__init__.py").exists():
                    queue.append(entry)
            elif entry.suffix not in (".py", ".pyc", ".pyi", ".so", ".typed"):
                found.append(entry)
    return sorted(found)


def _digest_file(path: Path) -> str:
    stamp = _stamp(path)
    known = _files.get(path)
    if known is None or known[0] != stamp:
        with io.open(path, "rb") as file:
            known = (stamp, hashlib.file_digest(file, "sha256").hexdigest())
        _files[path] = known
    return known[1]


@functools.cache
def get_git_commit(folder: Path | None = None) -> str:
    """The git commit of the code in `folder` (default: the working directory), for people; never what decides.

    Returns:
        40 hex digits, with `+dirty` where tracked files have changed; `unknown` without git or outside a repository.
    """
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+dirty"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else "unknown"
