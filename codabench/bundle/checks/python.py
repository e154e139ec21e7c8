"""What a Python program says of itself, by its syntax alone; nothing of it is ever run.

Names are followed as far as a module assigns them once. What cannot be told is in doubt, and whoever asks keeps silent.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from codabench.bundle.checks.shell import fetches, is_local

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands for whatever a program puts there at run time."""
_STEPS, _CALLS = 200, 20
_DOWNLOADS = re.compile(
    r"(requests\.(Session|session|request|get|post|put|head|patch)|httpx\.(Client|get|post|put|head|request|stream)|"
    r"urllib\.request\.(urlopen|urlretrieve)|urllib2\.urlopen|wget\.download|gdown\.\w*download\w*|pip\.main|"
    r"huggingface_hub\.(hf_hub_download|snapshot_download)|datasets\.load_dataset|nltk\.download|"
    r"torch\.hub\.(load|load_state_dict_from_url|download_url_to_file)|sklearn\.datasets\.fetch_\w+|"
    r"openml\.\w+\.get_\w+|tensorflow_datasets\.load|ftplib\.FTP)"
)
_HUBS = ("transformers", "diffusers", "sentence_transformers", "timm")
_SHELLS = re.compile(r"os\.(system|popen)|subprocess\.(run|call|check_call|check_output|Popen|getoutput)")
_UNPICKLE = re.compile(
    r"(pickle|_pickle|cPickle|dill|cloudpickle)\.(load|loads|Unpickler)|joblib\.load|pandas\.read_pickle"
)
_BINDING = frozenset(
    (
        *(ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign),
        *(ast.For, ast.AsyncFor, ast.comprehension, ast.withitem, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda),
    )
)
_AROUND = frozenset(
    ("Path", "PurePath", "str", "open", "abspath", "realpath", "normpath", "fspath", "expanduser", "BytesIO")
)
_ON_PATHS = frozenset(("resolve", "absolute", "open", "read_bytes", "as_posix", "expanduser", "read", "format"))


class Sight(NamedTuple):
    """A place in a text, from 1 (columns in bytes of UTF-8), and what is there."""

    line: int
    column: int
    what: str


@dataclasses.dataclass
class Facts:
    """What was seen in one file: the first of each kind.

    Attributes
    ----------
    fetch
        Installs or downloads.
    imports_results, unpickles
        Puts the folder of predictions on the path of modules; unpickles what is not surely reference data.
    written
        Keys of what is written as JSON, YAML or lines ``key: value``.
    doubtful
        More keys may be written than are known.
    strings
        Every text that stands in it.
    """

    fetch: Sight | None = None
    imports_results: Sight | None = None
    unpickles: Sight | None = None
    written: dict[str, Sight] = dataclasses.field(default_factory=dict)
    doubtful: bool = False
    strings: set[str] = dataclasses.field(default_factory=set)


def look_at(text: str) -> Facts | None:
    """What a Python file says; None if it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the parser thinks of somebody's escapes
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    from codabench.bundle.checks.scores import find_written

    module = Module(tree)
    facts = Facts(strings={n.value for n in module.nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)})
    for call in module.calls:
        full = module.full_name(call.func)
        if facts.fetch is None and (what := _fetch(module, call, full)):
            facts.fetch = sight(call, what)
        if facts.imports_results is None and _imports_results(module, call, full):
            facts.imports_results = sight(call, full)
        if facts.unpickles is None and _unpickles(call, full) and not _is_reference(module, call):
            facts.unpickles = sight(call, full)
    find_written(module, facts)
    return facts


def sight(node: ast.expr, what: str) -> Sight:
    """Where an expression begins."""
    return Sight(node.lineno, node.col_offset + 1, what)


class Module:
    """A parsed file: its calls, and what its names stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self.nodes = list(ast.walk(tree))
        calls = [n for n in self.nodes if isinstance(n, ast.Call)]
        self.calls = sorted(calls, key=lambda call: (call.lineno, call.col_offset))
        self._imported: dict[str, str] = {}
        self._values: dict[str, list[ast.expr | None]] = {}
        self._called: dict[str, list[ast.Call]] = {}
        for call in self.calls:
            if isinstance(call.func, ast.Name):
                self._called.setdefault(call.func.id, []).append(call)
        self._mentioned = Counter(node.id for node in self.nodes if type(node) is ast.Name)
        self._defined = Counter(node.name for node in self.nodes if type(node) is ast.FunctionDef)
        for node in self.nodes:
            if type(node) in _BINDING:  # most nodes bind no name
                self._note(node)

    def values(self, name: str) -> list[ast.expr | None]:
        """Everything that is assigned to a name anywhere in the file; None where that is no one expression."""
        return self._values.get(name, [])

    def full_name(self, node: ast.expr) -> str:
        """``numpy.load`` for ``np.load``; empty for what is no dotted name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute) and len(parts) < 8:
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._imported.get(node.id, node.id), *reversed(parts)])

    def text(self, node: ast.expr) -> str:
        """The text that an expression makes, with `UNKNOWN` for the parts that are not in the file."""
        return self._text(node, [_STEPS], ())

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    self._imported[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                self._imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            self._assign(node.target, node.value)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension, ast.AugAssign)):
            self._assign(node.target, None)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._assign(node.optional_vars, node.context_expr)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            self._bind_parameters(node)

    def _bind_parameters(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """A parameter is whatever the calls in the file pass, if these are all that there can be."""
        name = node.name if isinstance(node, ast.FunctionDef) else ""
        calls = self._called.get(name, [])
        if self._defined[name] != 1 or self._mentioned[name] != len(calls) or len(calls) > _CALLS:
            calls = []
        places = [*node.args.posonlyargs, *node.args.args]
        for place, arg in enumerate(places):
            passed = [_passed(call, place, arg.arg) for call in calls]
            self._values.setdefault(arg.arg, []).extend(passed or [None])
        for other in (*node.args.kwonlyargs, node.args.vararg, node.args.kwarg):
            if other is not None:
                self._values.setdefault(other.arg, []).append(None)

    def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
        if name := reference(target):
            self._values.setdefault(name, []).append(value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            parts = value.elts if same and isinstance(value, (ast.Tuple, ast.List)) else [None] * len(target.elts)
            for inner, part in zip(target.elts, parts, strict=True):
                if name := reference(inner):
                    self._values.setdefault(name, []).append(part)

    def _text(self, node: ast.expr | None, steps: list[int], names: tuple[str, ...]) -> str:
        steps[0] -= 1
        if node is None or steps[0] < 0:
            return UNKNOWN

        def inner(part: ast.expr | None) -> str:
            return self._text(part, steps, names)

        match node:
            case ast.Constant(value=str(value)):
                return value[:1000]
            case ast.JoinedStr(values=parts):
                return "".join(map(inner, parts[:50]))
            case ast.FormattedValue(value=value):
                return inner(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return inner(left) + inner(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return f"{inner(left)}/{inner(right)}"
            case ast.BinOp(left=left, op=ast.Mod()):
                return re.sub(r"%[-+ #0-9.*]*[a-zA-Z]|%\(\w+\)[-+ #0-9.]*[a-zA-Z]", UNKNOWN, inner(left))
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return " ".join(map(inner, parts[:50]))
            case ast.Call(func=func, args=args):
                return self._text_of_call(func, args, inner)
            case ast.Name() | ast.Attribute():
                name = reference(node)
                if name not in names and len(self.values(name)) == 1:
                    return self._text(self.values(name)[0], steps, (*names, name))
        return UNKNOWN

    def _text_of_call(self, func: ast.expr, args: list[ast.expr], inner: Callable[[ast.expr | None], str]) -> str:
        name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
        full = self.full_name(func)
        if full.endswith("path.join") or name == "joinpath":
            parts = [func.value, *args] if name == "joinpath" and isinstance(func, ast.Attribute) else args
            return "/".join(map(inner, parts[:20]))
        if name == "format" and isinstance(func, ast.Attribute):
            return re.sub(r"\{[^{}]*\}", UNKNOWN, inner(func.value))
        if name in _ON_PATHS and isinstance(func, ast.Attribute):
            return inner(func.value)
        return inner(args[0]) if name in _AROUND and args else UNKNOWN


def reference(node: ast.expr) -> str:
    """``scores`` or ``self.scores``: what something can be assigned to and is found by; empty for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _passed(call: ast.Call, place: int, name: str) -> ast.expr | None:
    if any(isinstance(arg, ast.Starred) for arg in call.args) or any(k.arg is None for k in call.keywords):
        return None
    by_name = next((k.value for k in call.keywords if k.arg == name), None)
    return call.args[place] if place < len(call.args) else by_name


def _fetch(module: Module, call: ast.Call, full: str) -> str | None:
    """What of the network a call needs, if that is plain."""
    first = call.args[0] if call.args else None
    if _SHELLS.fullmatch(full) and first is not None:
        return fetches(module.text(first))
    if _DOWNLOADS.fullmatch(full):
        return None if first is not None and is_local(module.text(first)) else full
    if full.endswith(".from_pretrained") and full.startswith(_HUBS) and isinstance(first, ast.Constant):
        offline = any(k.arg == "local_files_only" for k in call.keywords)
        if isinstance(first.value, str) and not first.value.startswith((".", "/")) and not offline:
            return full
    return None


def _imports_results(module: Module, call: ast.Call, full: str) -> bool:
    extends = full in ("sys.path.append", "sys.path.insert") and bool(call.args)
    return extends and _is_results(module.text(call.args[-1]))


def _is_results(text: str) -> bool:
    """Whether a path leads to the folder of predictions."""
    return bool(re.search(r"(^|/)input/res(/|$)|/res/?$", text)) or text == "res"


def _unpickles(call: ast.Call, full: str) -> bool:
    keywords = {k.arg: k.value for k in call.keywords}

    def says(name: str, wanted: bool) -> bool:
        value = keywords.get(name)
        return isinstance(value, ast.Constant) and value.value is wanted

    if full == "numpy.load":
        return says("allow_pickle", True)
    if full == "torch.load":
        return says("weights_only", False)
    return bool(_UNPICKLE.fullmatch(full))


def _is_reference(module: Module, call: ast.Call) -> bool:
    """Whether what is unpickled is surely the organizer's own."""
    text = module.text(call.args[0]) if call.args else UNKNOWN
    return bool(re.search(r"(^|[/_.-])(ref|reference|truth|solution|gold)", text, re.IGNORECASE)) or (
        UNKNOWN not in text and not _is_results(text) and "res" not in text.split("/")
    )


def literal_keys(node: ast.expr) -> Iterator[ast.expr | None]:
    """The keys of a dict that is written out, None for one that is not (``**more``)."""
    if isinstance(node, ast.Dict):
        yield from node.keys
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            yield ast.copy_location(ast.Constant(value=keyword.arg), keyword.value) if keyword.arg else None
