"""Code identity: what a stage's code is, so that a change anywhere in it is seen, and nothing else is.

A digest of the stage's module and of every first-party module that it reaches by import, without comments and
docstrings, of the data files beside them, of what is bound to the function, and of the versions of named distributions.
Modules are found by path and read as text, never imported to look at them.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MACHINERY", "UnknownCodeError", "code_identity", "get_git_commit"]

MACHINERY = "egregora-machinery/1"
"""Stands in for Egregora's own machinery in every digest. Raise the number when it changes what stages compute."""

# `llm` asks; what it asks is in the stages and in the prompts, which count as configuration.
_MACHINERY_PARTS = ("cli", "observe", "llm", "pipeline", "database", "config", "errors")

_IMPORTED_AT = time.time()


class UnknownCodeError(Exception):
    """A part of the code can't be identified; the run must not be taken for another. Caught by the runner."""


def code_identity(
    func: Callable[..., Any], distributions: tuple[str, ...] = (), memo: Path | None = None
) -> tuple[str, dict[str, str]]:
    """Identify a stage's code.

    Args:
        func: The stage's function, or a `functools.partial`, method, closure or callable instance.
        distributions: Names of installed packages whose versions count.
        memo: A file that remembers what was read of modules, by the hash of their bytes, from one process to the next.

    Returns:
        The digest (64 hex digits), and its parts: a hash or value for each module, data file, bound value and
        distribution, by name.

    Raises:
        UnknownCodeError: a bound value is no function, module or JSON-like value; a module has been edited since it was
            imported; a distribution isn't installed.
    """
    parts: dict[str, str] = {"machinery": MACHINERY}
    _recall(memo)
    try:
        _Walk(parts).callable("function", func)
    finally:
        _remember(memo)
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
        self.seen: dict[int, tuple[str, Any]] = {}
        self.main = ""

    def again(self, name: str, thing: Any) -> bool:
        """Whether a thing has been looked at before; where else it is bound counts all the same."""
        first = self.seen.get(id(thing))
        if first is None:
            # Kept, because an id is only good for as long as its object lives.
            self.seen[id(thing)] = (name, thing)
            return False
        self.parts[f"value {name}"] = f"same as {first[0]}"
        return True

    def callable(self, name: str, func: Any) -> None:
        if inspect.isclass(func):
            self.of_class(name, func)
            return
        if self.again(name, func):
            return
        if isinstance(func, functools.partial):
            self.callable(f"{name}.func", func.func)
            for index, value in enumerate(func.args):
                self.value(f"{name}.args[{index}]", value)
            for key, value in sorted(func.keywords.items()):
                self.value(f"{name}.{key}", value)
            return
        if inspect.ismethod(func):
            self.value(f"{name}.self", func.__self__)
            self.callable(f"{name}.func", func.__func__)
            return
        wrapped = getattr(func, "__wrapped__", None)
        if wrapped is not None:
            self.callable(f"{name}.wrapped", wrapped)
        if not inspect.isfunction(func):
            if not callable(func):
                raise UnknownCodeError(f"{name} is not callable")
            if inspect.isroutine(func):
                # Written in C: what it is bound to counts, e.g. the text of `", ".join`.
                owner = getattr(func, "__objclass__", None) or getattr(func, "__module__", None)
                self.parts[name] = f"builtin {owner} {func.__qualname__}"
                bound = getattr(func, "__self__", None)
                if bound is not None and not inspect.ismodule(bound):
                    self.value(f"{name}.self", bound)
            else:
                self.held(f"{name}.self", func)
                self.callable(f"{name}.call", type(func).__call__)
            return
        self.parts[name] = f"{func.__globals__.get('__name__')}.{func.__code__.co_qualname}"
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
        # Not `__module__`, which `functools.wraps` copies from what is wrapped.
        module_name = str(func.__globals__.get("__name__"))
        path = self.origin(module_name)
        which = _which(path, _stamp(Path(path)), func.__code__) if path else None
        if which:
            self.parts[f"{name} is"] = which
        elif which is None and not _is_library(module_name):
            # From a notebook, or made by `exec`.
            self.bare(func)

    def of_class(self, name: str, cls: Any) -> None:
        """A class: its module, and what it holds if it was made while a function ran, or typed in."""
        if self.again(name, cls):
            return
        self.parts[name] = f"{cls.__module__}.{cls.__qualname__}"
        if _is_library(cls.__module__) or (self.origin(cls.__module__) and "<locals>" not in cls.__qualname__):
            return
        for base in cls.__bases__:
            self.of_class(f"{name}.{base.__qualname__}", base)
        for key, item in sorted(vars(cls).items()):
            made = item.fget if isinstance(item, property) else getattr(item, "__func__", item)
            if inspect.isfunction(made) or not (key.startswith("__") or hasattr(made, "__set__")):
                self.value(f"{name}.{key}", made)

    def origin(self, module_name: str) -> str:
        """Take in the module that something is defined in; its file, empty where there is none."""
        path = str(getattr(sys.modules.get(module_name), "__file__", None) or "")
        if not path.endswith(".py"):
            return ""
        self.main = self.main or module_name
        self.module(module_name, Path(path), root=module_name == self.main or _is_first_party_path(Path(path)))
        return path

    def bare(self, func: Any) -> None:
        """A function typed in (a notebook, a shell): its own source, what it imports and whatever globals it uses."""
        try:
            source = textwrap.dedent(inspect.getsource(func))
        except (OSError, TypeError):
            raise UnknownCodeError(f"the source of {func.__qualname__} can't be found") from None
        self.parts[f"source {func.__qualname__}"] = _digest_source(source.encode(errors="replace"))
        with contextlib.suppress(SyntaxError):
            self.imports("", _imports(ast.parse(source)))
        names = {name for code in _codes(func.__code__) for name in code.co_names}
        for name in sorted(names & func.__globals__.keys()):
            self.value(f"{func.__qualname__}.global.{name}", func.__globals__[name])

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
        plain = _plain(value)
        if plain is not None:
            self.parts[f"value {name}"] = plain
            return
        if not self.again(name, value):
            self.held(name, value)

    def held(self, name: str, value: Any) -> None:
        """What a container or an instance holds."""
        kind = type(value)
        self.parts[f"value {name}"] = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, (tuple, list)):
            self.parts[f"value {name}.length"] = str(len(value))
            for index, item in enumerate(value):
                self.value(f"{name}[{index}]", item)
        elif isinstance(value, Mapping):
            self.parts[f"value {name}.length"] = str(len(value))
            for index, (key, item) in enumerate(value.items()):
                self.value(f"{name}.key[{index}]", key)
                self.value(f"{name}[{index}]", item)
        elif not hasattr(value, "__dict__") and not any("__slots__" in vars(base) for base in kind.__mro__):
            raise UnknownCodeError(f"{name} is a {kind.__qualname__}, which has no stable identity")
        if _is_library(kind.__module__):
            if not isinstance(value, (tuple, list, Mapping)):
                raise UnknownCodeError(f"{name} is a {kind.__qualname__}, which has no stable identity")
            return
        for base in (str, bytes, int, float):
            if isinstance(value, base):
                self.parts[f"value {name}.{base.__name__}"] = base.__repr__(value)
        self.of_class(f"{name}.type", kind)
        slots = {slot for base in kind.__mro__ for slot in _names(vars(base).get("__slots__", ()))}
        attributes = {slot: getattr(value, slot) for slot in slots if hasattr(value, slot)} | getattr(
            value, "__dict__", {}
        )
        attributes.pop("__dict__", None)
        attributes.pop("__weakref__", None)
        for key in sorted(attributes):
            self.value(f"{name}.{key}", attributes[key])

    def module(self, name: str, path: Path, *, root: bool) -> None:
        """A module by its file, and what it imports. `root`: its top-level package becomes first-party."""
        if root:
            self.tops.add(name.split(".")[0])
        if name in self.modules or _is_machinery(name):
            return
        self.modules.add(name)
        # Python runs the packages above a module before it.
        self.wanted(name.rpartition(".")[0])
        found = _read(name, path)
        self.parts[f"module {name}"] = found.digest
        if path.name == "__init__.py":
            for data in _data_files(path.parent):
                self.parts[f"file {name}/{data.relative_to(path.parent).as_posix()}"] = _digest_file(data)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        if name == "__main__":
            # Run as `python -m package.module`, it imports relative to its package.
            package = getattr(sys.modules["__main__"], "__package__", None) or ""
            self.tops.add(package.split(".")[0])
        self.imports(package, found.imports)

    def imports(self, package: str, imports: _Imports) -> None:
        """What a module of this package imports."""
        for prefix, found in _resolved(package, imports):
            self.imported(prefix, found)

    def wanted(self, name: str) -> None:
        """A dotted name that some module imports: each part of it that is a first-party module counts."""
        for prefix, found in _prefixes(name):
            self.imported(prefix, found)

    def imported(self, name: str, found: _Found) -> None:
        """A module that is imported, which counts if it is first-party."""
        path = found.path
        # A namespace package has no file of its own, but modules in it.
        if path is None or name in self.modules or not (found.first_party or name.split(".")[0] in self.tops):
            return
        if found.python:
            self.module(name, path, root=False)
        else:
            self.parts[f"module {name}"] = _digest_file(path)


_Imports = tuple[tuple[int, str, tuple[str, ...]], ...]
"""What a module imports, as (level, module, members)."""


class _Source:
    """What was read of one module's file.

    Attributes:
        digest: Hash of its code without comments and docstrings.
        imports: What it imports.
        functions: How often each qualified name stands for code in it.
    """

    __slots__ = ("digest", "functions", "imports")

    def __init__(self, digest: str, imports: _Imports, functions: dict[str, int]) -> None:
        self.digest = digest
        self.imports = imports
        self.functions = functions


_known: dict[str, _Source] = {}
"""What was read of a module, by the hash of its bytes."""
_recalled: dict[Path, int] = {}
"""Memo files that were read, with how much was known when they were last written."""
_KEEP = 4_000
"""A memo with more modules than this begins anew."""


def _recall(memo: Path | None) -> None:
    if memo is None or memo in _recalled:
        return
    try:
        held = json.loads(memo.read_text(encoding="utf-8"))
        if held["made by"] == [MACHINERY, sys.hexversion]:
            for key, (digest, imports, functions) in held["modules"].items():
                named = tuple((level, target, tuple(members)) for level, target, members in imports)
                _known.setdefault(key, _Source(digest, named, functions))
    except (OSError, ValueError, KeyError, TypeError):
        # Only a memory: without it modules are read again.
        pass
    _recalled[memo] = len(_known)


def _remember(memo: Path | None) -> None:
    if memo is None or _recalled[memo] == len(_known):
        return
    _recalled[memo] = len(_known)
    kept = {} if len(_known) > _KEEP else {k: [v.digest, v.imports, v.functions] for k, v in _known.items()}
    temporary = memo.with_name(f".{memo.name}-{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps({"made by": [MACHINERY, sys.hexversion], "modules": kept}), encoding="utf-8")
        temporary.replace(memo)


_sources: dict[Path, tuple[tuple[int, int], _Source]] = {}
_loaded: dict[str, tuple[Path, str]] = {}
_files: dict[Path, tuple[tuple[int, int], str]] = {}
_found: dict[str, _Found | None] = {}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        raise UnknownCodeError(f"{path.name} can't be read") from None
    return status.st_mtime_ns, status.st_size


def _read(name: str, path: Path) -> _Source:
    stamp = _stamp(path)
    held = _sources.get(path)
    if held is None or held[0] != stamp:
        held = (stamp, _read_source(name, path))
        _sources[path] = held
    source = held[1]
    module = sys.modules.get(name)
    if module is not None:
        # The code that runs is what was imported, which must be what is on the disk.
        before = _loaded.get(name)
        if before is None or before[0] != path:
            if stamp[0] / 1e9 > _IMPORTED_AT and _edited_since_import(module, path, stamp):
                raise UnknownCodeError(f"the module {name} was edited after it was imported")
            _loaded[name] = (path, source.digest)
        elif before[1] != source.digest:
            raise UnknownCodeError(f"the module {name} was edited after it was imported")
    return source


def _read_source(name: str, path: Path) -> _Source:
    data = path.read_bytes()
    key = hashlib.sha256(data).hexdigest()
    if key not in _known:
        try:
            tree = ast.parse(data)
            functions = Counter(code.co_qualname for code in _codes(compile(tree, str(path), "exec")))
        except (SyntaxError, ValueError):
            raise UnknownCodeError(f"the module {name} on the disk is not valid Python") from None
        _known[key] = _Source(_digest_tree(tree), _imports(tree), dict(functions))
    return _known[key]


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
        fresh = {code.co_qualname: _shape(code) for code in _codes(compile(path.read_bytes(), str(path), "exec"))}
    except (OSError, SyntaxError, ValueError):
        return True
    return any(
        fresh.get(value.__code__.co_qualname) != _shape(value.__code__)
        for value in vars(module).values()
        if inspect.isfunction(value) and value.__code__.co_filename == str(path)
    )


def _shape(code: types.CodeType) -> tuple[Any, ...]:
    """What a function's code does, wherever it stands in its file."""
    constants = [_shape(item) if isinstance(item, types.CodeType) else repr(item) for item in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants


@functools.lru_cache(maxsize=4096)
def _which(path: str, stamp: tuple[int, int], code: types.CodeType) -> str | None:
    """Which of several functions of one name in a file this is, e.g. of its lambdas.

    Returns:
        Empty if there is but one; None if it isn't there.
    """
    if Path(code.co_filename).name != Path(path).name:
        return None
    held = _sources.get(Path(path))
    if held is not None and held[0] == stamp and held[1].functions.get(code.co_qualname, 0) < 2:
        return "" if code.co_qualname in held[1].functions else None
    try:
        codes = _codes(compile(Path(path).read_bytes(), path, "exec"))
    except (SyntaxError, ValueError):
        return None
    same = [found for found in codes if found.co_qualname == code.co_qualname]
    return next((f"number {place}" for place, found in enumerate(same, 1) if _place(found) == _place(code)), None)


def _place(code: types.CodeType) -> tuple[Any, ...]:
    return code.co_firstlineno, list(code.co_positions()), _shape(code)


def _plain(value: Any) -> str | None:
    """A scalar, or a set of scalars, as text that tells it from all others; None for anything else."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes):
        return f"{kind.__name__} {value!r}"
    if kind in (set, frozenset):
        items = [_plain(item) for item in value]
        return None if None in items else f"{kind.__name__} {sorted(map(str, items))}"
    return None


def _is_library(module_name: str) -> bool:
    """Whether a module is Python's own."""
    if module_name.partition(".")[0] not in ("builtins", *sys.stdlib_module_names):
        return False
    path = getattr(sys.modules.get(module_name), "__file__", None)
    return module_name != "__main__" and (path is None or not _is_first_party_path(Path(path)))


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


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
    """Hash of a module without comments and docstrings. `ast.unparse` is the same in all Pythons, `dump` is not."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            first = body[0].value if body and isinstance(body[0], ast.Expr) else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode("utf-8", "surrogatepass")).hexdigest()


def _imports(tree: ast.Module) -> _Imports:
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
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            wanted = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "name")]
            if name in ("import_module", "__import__") and wanted and isinstance(wanted[0], ast.Constant):
                target = str(wanted[0].value)
                dots = len(target) - len(target.lstrip("."))
                found.append((dots, target[dots:], ()))
        queue.extend(ast.iter_child_nodes(node))
    return tuple(found)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


@functools.cache
def _is_machinery(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "egregora" and (len(parts) == 1 or parts[1] in _MACHINERY_PARTS)


@functools.lru_cache(maxsize=4096)
def _resolved(package: str, imports: _Imports) -> tuple[tuple[str, _Found], ...]:
    """The modules that a module of this package imports, as far as they can be found and aren't machinery."""
    found: dict[str, _Found] = {}
    for level, target, members in imports:
        base = target
        if level:
            parents = package.split(".")
            if not package or len(parents) < level:
                continue
            base = ".".join([*parents[: len(parents) - level + 1], *([target] if target else [])])
        for wanted in (base, *(f"{base}.{member}" for member in members)):
            found.update(_prefixes(wanted))
    return tuple(found.items())


def _prefixes(name: str) -> Iterator[tuple[str, _Found]]:
    """The modules in a dotted name, from the outermost in, as far as they can be found and aren't machinery."""
    parts = name.split(".") if name else []
    for end in range(1, len(parts) + 1):
        prefix = ".".join(parts[:end])
        if _is_machinery(prefix):
            continue
        found = _find(prefix)
        if found is None:
            return
        yield prefix, found


@dataclass(frozen=True)
class _Found:
    """Where a module is: its file, or None for a namespace package, and the folders of a package."""

    path: Path | None
    folders: tuple[str, ...]

    @functools.cached_property
    def python(self) -> bool:
        """Whether the file is Python's source, which can be read."""
        return self.path is not None and self.path.suffix == ".py"

    @functools.cached_property
    def first_party(self) -> bool:
        """Whether the file is neither Python's own nor installed."""
        return self.path is not None and _is_first_party_path(self.path)


def _find(name: str) -> _Found | None:
    """Where a module is, without importing it; None if it isn't there, or has no file."""
    if name not in _found:
        _found[name] = _look(name)
    return _found[name]


def _look(name: str) -> _Found | None:
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if spec is None:
        parent, _, _ = name.rpartition(".")
        above = _find(parent) if parent else None
        if parent and (above is None or not above.folders):
            return None
        for finder in sys.meta_path:
            # Every finder, because editable installs may bring one of their own.
            try:
                spec = finder.find_spec(name, above.folders if above else None)
            except KeyError:
                # How Python says that it is a namespace package in one that isn't imported.
                return _namespace(name)
            if spec is not None:
                break
        else:
            return None
    if spec.has_location and spec.origin:
        return _Found(Path(spec.origin), tuple(spec.submodule_search_locations or ()))
    if spec.origin is not None or spec.submodule_search_locations is None:
        return None
    return _namespace(name)


def _namespace(name: str) -> _Found:
    """All folders of a namespace package. Its own list of them can't be asked for unless it is imported."""
    parent, _, last = name.rpartition(".")
    above = _find(parent) if parent else None
    folders = [Path(folder) / last for folder in (above.folders if above else sys.path)]
    return _Found(None, tuple(str(folder) for folder in folders if folder.is_dir()))


@functools.cache
def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"]}
    return tuple(sorted(str(Path(root)) + os.sep for root in roots))


def _is_first_party_path(path: Path) -> bool:
    text = str(path)
    if "site-packages" in path.parts or "dist-packages" in path.parts:
        return False
    return not text.startswith(_library_roots())


def _data_files(package: Path) -> list[Path]:
    """Files of a package that aren't Python, in folders that aren't packages themselves (templates, word lists, …)."""
    found = []
    queue = [str(package)]
    while queue:
        with os.scandir(queue.pop()) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__pycache__")):
                    continue
                if entry.is_dir():
                    if not Path(entry.path, "__init__.py").exists():
                        queue.append(entry.path)
                elif not entry.name.endswith((".py", ".pyc", ".pyi", ".so", ".typed")):
                    found.append(entry.path)
    return [Path(path) for path in sorted(found)]


def _digest_file(path: Path) -> str:
    stamp = _stamp(path)
    known = _files.get(path)
    if known is None or known[0] != stamp:
        with path.open("rb") as file:
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
