"""The text of what a forward pass calls: classes, functions and constants, cut out of the files that define them.

Owns which definitions are needed and in which order they stand.  Of a class of modules only the methods that may be
called are taken, and not its constructor: the parts are given (`network`).  Every attribute that any taken code asks
for counts as a call of all methods of that name, so that nothing is missed, though a little may be too much.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from torch import nn

from supernet.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PART = "Part"  # the class of the written file that takes the place of nn.Module

_OURS = "supernet"
_LEGEND = "# "


@dataclass(frozen=True)
class Definition:
    """A statement at the top level of a file: a class, a function, or an assignment."""

    module: str
    name: str
    statement: ast.stmt = field(compare=False, repr=False)


class Source:
    """One file of Python."""

    def __init__(self, module: str) -> None:
        self.module = module
        try:
            loaded = importlib.import_module(module)
            text = inspect.getsource(loaded)
        except (OSError, TypeError, ImportError) as error:
            raise ExportError(f"the source of the module {module} is not to be found: {error}.") from error
        file = str(getattr(loaded, "__file__", ""))
        if "site-packages" in file and module.split(".")[0] != _OURS:
            raise ExportError(f"{module} belongs to an installed package, whose code is not copied.")
        self.values = vars(loaded)
        self.lines = text.splitlines()
        self.statements: dict[str, ast.stmt] = {}
        self.imports: dict[str, tuple[ast.Import | ast.ImportFrom, ast.alias]] = {}
        self._read(ast.parse(text).body)

    def _read(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                for alias in statement.names:
                    self.imports[alias.asname or alias.name.split(".")[0]] = (statement, alias)
            elif isinstance(statement, ast.If):  # imports for type checkers
                self._read(statement.body)
            elif isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
                self.statements[statement.name] = statement
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    for name in ast.walk(target):
                        if isinstance(name, ast.Name):
                            self.statements[name.id] = statement

    def text(self, node: ast.stmt) -> str:
        """The lines of a statement, with its decorators."""
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        return "\n".join(self.lines[first - 1 : node.end_lineno])

    def legend(self) -> list[str]:
        """The comments before the first import: what the letters of axes mean."""
        found = []
        for line in self.lines:
            if line.startswith(_LEGEND):
                found.append(line)
            elif line.startswith(("from ", "import ")):
                break
        return found


@cache
def _source(module: str) -> Source:
    return Source(module)


class Definitions:
    """What is needed so far; `need` adds a class, and `text` writes all of it."""

    def __init__(self) -> None:
        self.accessed: set[str] = set()
        self._imports: set[str] = set()
        self._found: dict[str, Definition] = {}
        self._after: dict[str, list[str]] = {}  # files by name, each with those that must stand before it

    def holds(self, name: str) -> bool:
        """Whether some definition has this name."""
        return name in self._found

    def need(self, kind: type) -> None:
        """A class, with everything that its methods use.  Raises `ExportError` where that cannot be copied."""
        if kind.__qualname__ != kind.__name__:
            raise ExportError(f"{kind.__qualname__} is defined inside another definition; move it to its file's top.")
        self._resolve(kind.__module__, kind.__name__)
        self._close()

    def _close(self) -> None:
        """Follow names and attributes until nothing new is found."""
        size = -1
        while size != (size := len(self._found) + len(self.accessed)):
            for definition in tuple(self._found.values()):
                for node in self._taken(definition):
                    self._follow(definition, node)

    def _follow(self, definition: Definition, node: ast.AST) -> None:
        loaded: set[str] = set()
        bound: set[str] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                (loaded if isinstance(inner.ctx, ast.Load) else bound).add(inner.id)
            elif isinstance(inner, ast.arg):
                bound.add(inner.arg)
            elif isinstance(inner, ast.Attribute):
                self.accessed.add(inner.attr)
        for name in sorted(loaded - bound):
            self._resolve(definition.module, name)

    def _resolve(self, module: str, name: str) -> None:
        source = _source(module)
        if name in source.statements:
            self._add(Definition(module, name, source.statements[name]))
        elif name in source.imports:
            self._import(module, *source.imports[name])
        elif not hasattr(builtins, name) and name in source.values:
            raise ExportError(f"{name} of {module} is defined in a way that cannot be copied.")

    def _import(self, module: str, statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> None:
        if isinstance(statement, ast.ImportFrom):
            origin = "." * statement.level + (statement.module or "")
            origin = importlib.util.resolve_name(origin, _source(module).values.get("__package__"))
        else:
            origin = alias.name
        root = origin.split(".")[0]
        if root == "torch" or root in sys.stdlib_module_names:
            single: ast.stmt = (
                ast.ImportFrom(module=origin, names=[alias], level=0)
                if isinstance(statement, ast.ImportFrom)
                else ast.Import(names=[alias])
            )
            self._imports.add(ast.unparse(single))
        elif isinstance(statement, ast.Import) or alias.asname is not None:
            raise ExportError(
                f"{module} imports {ast.unparse(statement)!r}; code is copied only where it says from X import Y."
            )
        else:
            before = self._after.setdefault(module, [])
            if origin not in before:
                before.append(origin)
            self._resolve(origin, alias.name)

    def _add(self, definition: Definition) -> None:
        known = self._found.setdefault(definition.name, definition)
        if known != definition:
            raise ExportError(
                f"{definition.name} is defined in {known.module} and in {definition.module}; one file has room for "
                "one of them: rename the other."
            )
        self._after.setdefault(definition.module, [])

    def _taken(self, definition: Definition) -> Iterator[ast.AST]:
        """The parts of a definition that are written."""
        statement = definition.statement
        if not (isinstance(statement, ast.ClassDef) and self._is_module(definition)):
            yield statement
            return
        yield from statement.bases
        yield from (member for member in statement.body if self._is_taken(member))

    def _is_module(self, definition: Definition) -> bool:
        value = _source(definition.module).values.get(definition.name)
        return isinstance(value, type) and issubclass(value, nn.Module)

    def _is_taken(self, member: ast.stmt) -> bool:
        if isinstance(member, ast.FunctionDef):
            return member.name == "forward" or (member.name in self.accessed and member.name != "__init__")
        if isinstance(member, ast.Assign):
            return any(isinstance(t, ast.Name) and t.id in self.accessed for t in member.targets)
        if isinstance(member, ast.AnnAssign) and member.value is not None:
            return isinstance(member.target, ast.Name) and member.target.id in self.accessed
        return False

    def imports(self) -> list[str]:
        """The statements that import from torch and from Python's own library."""
        return sorted(self._imports)

    def text(self) -> str:
        """All definitions, by file, what is used before what uses it."""
        parts = []
        for module in self._ordered():
            of_it = {id(d.statement): d for d in self._found.values() if d.module == module}
            if not of_it:
                continue
            source = _source(module)
            parts.append("\n".join([f"# From {module.replace('.', '/')}.py", *source.legend()]))
            parts += [
                self._written(source, definition)
                for definition in sorted(of_it.values(), key=lambda one: one.statement.lineno)
            ]
        return "\n\n\n".join(parts)

    def _ordered(self) -> list[str]:
        done: dict[str, None] = {}

        def visit(module: str, above: tuple[str, ...]) -> None:
            if module in done or module in above:
                return
            for before in self._after.get(module, ()):
                visit(before, (*above, module))
            done[module] = None

        for module in self._after:
            visit(module, ())
        return list(done)

    def _written(self, source: Source, definition: Definition) -> str:
        statement = definition.statement
        if not (isinstance(statement, ast.ClassDef) and self._is_module(definition)):
            return source.text(statement)
        bases = ", ".join(self._base(source, base) for base in statement.bases)
        members = [member for member in statement.body if self._is_taken(member)]
        first = statement.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        body = [source.text(first)] if documented else []
        body += [source.text(member) for member in members]
        return f"class {statement.name}({bases}):\n" + ("\n\n".join(body) or "    pass")

    def _base(self, source: Source, base: ast.expr) -> str:
        text = ast.unparse(base)
        first, *rest = text.split(".")
        value: Any = source.values.get(first)
        for name in rest:
            value = getattr(value, name, None)
        return PART if value is nn.Module else text
