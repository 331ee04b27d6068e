"""Which of our files a unit ships: those that its imports reach, and no other.

The broker thus carries no scanner code, and new reach of a unit shows in review as a changed golden list
(`tests/bundles/`).
"""

from __future__ import annotations

import ast
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

FIRST_PARTY = frozenset({"glovebox", "functions", "containers", "squid"})
"""Top-level packages that are ours; everything else comes from the unit's pinned requirements."""


def closure(root: Path, unit: str) -> list[Path]:
    """The files, relative to `root`, that the package or module `unit` (such as `functions/launch`) needs at
    run time.

    Follows every import statement, also inside functions, but not below `if TYPE_CHECKING`.  A data file
    ships when a module beside it names it in a string; a folder of data likewise, with its files.  Sorted.

    Raises FileNotFoundError for a unit without modules.
    """
    module = (root / unit).with_suffix(".py")
    found = [module] if module.is_file() else (root / unit).glob("*.py")
    waiting = sorted(path.relative_to(root) for path in found)
    if not waiting:
        raise FileNotFoundError(f"{root / unit} holds no Python module")
    reached: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        tree = ast.parse((root / path).read_bytes(), filename=str(path))
        waiting.extend(_packages_of(root, path))
        waiting.extend(_imported(root, path, tree))
        reached.update(_data_files(root, path, tree))
    return sorted(reached)


def image_files(root: Path, image: str) -> list[Path]:
    """What the build context of an image holds, relative to `root`: its folder, closure and pins, if any."""
    folder = Path("containers") / image
    pin = Path("requirements") / f"{image}.txt"
    # A function may have the name of an image that needs no packages.
    pins = [pin] if pin.name in (root / folder / "Dockerfile").read_text("utf-8") else []
    own = [each.relative_to(root) for each in (root / folder).iterdir() if each.is_file()]
    # An image that only adds to somebody else's has no module of ours.
    ours = closure(root, str(folder)) if any(each.suffix == ".py" for each in own) else []
    return sorted({*ours, *own, *pins})


def stage(root: Path, files: Iterable[Path], output: Path) -> None:
    """Copies `files` of the project below `output`."""
    for path in files:
        target = output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target)


def fingerprint(root: Path, files: Iterable[Path], *also: str) -> str:
    """SHA-256 over names and contents of `files`, and over `also` (pins, target)."""
    digest = hashlib.sha256()
    for path in files:
        content = hashlib.sha256((root / path).read_bytes()).hexdigest()
        digest.update(f"{path.as_posix()}\0{content}\0".encode())
    for text in also:
        digest.update(f"{text}\0".encode())
    return digest.hexdigest()


def _packages_of(root: Path, path: Path) -> Iterator[Path]:
    """The `__init__.py` of each package above a module: importing the module runs them."""
    for folder in path.parents:
        init = folder / "__init__.py"
        if folder != Path() and (root / init).is_file():
            yield init


def _imported(root: Path, path: Path, tree: ast.AST) -> Iterator[Path]:
    for name in _names(path, tree):
        if name.split(".", 1)[0] not in FIRST_PARTY:
            continue
        base = Path(*name.split("."))
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if (root / candidate).is_file():
                yield candidate


def _names(path: Path, tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports; `from a import b` gives `a` and `a.b`, for `b` may be a module."""
    for node in _run_time_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base_of(path, node)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _base_of(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.parts[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see."""
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        for other in node.orelse:
            yield from _run_time_nodes(other)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _run_time_nodes(child)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _data_files(root: Path, path: Path, tree: ast.AST) -> Iterator[Path]:
    beside = {each.name: each for each in (root / path.parent).iterdir()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in beside:
            yield from (each.relative_to(root) for each in _data(beside[node.value]))


def _data(path: Path) -> list[Path]:
    """A file that is no module, or the files of a folder that holds no module."""
    if path.is_dir():
        inside = [each for each in path.iterdir() if each.is_file()]
        return [] if any(each.suffix == ".py" for each in inside) else inside
    return [] if path.suffix == ".py" else [path]
