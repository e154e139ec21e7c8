"""``leaderboards`` of a bundle (contract.md 1.9)."""

from __future__ import annotations

from codabench.bundle.edits import added, listed, mending, renamed
from codabench.bundle.fields import Fields, identifier, whole_number
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, value
from codabench.core.competition import ColumnSpec, Computation, LeaderboardSpec, Sorting, SubmissionRule
from codabench.core.problems import Fix

_COMPUTATIONS = ("sum", "avg", "min", "max", "avg_rank")
_NO_EFFECT = ("index", "id")


def read_leaderboards(top: Fields) -> tuple[LeaderboardSpec, ...]:
    """Every leaderboard; the first ranks all phases."""
    if top.get("leaderboards") is None:
        top.missing("leaderboards", fix=_one_board(top))
    boards = top.children("leaderboards", "leaderboard")
    listed = top.get("leaderboards")
    if isinstance(listed, Sequence) and not listed.items:
        top.error("CB109", "a competition needs a leaderboard", listed, "add one with title, key and columns")
    for other in boards[1:]:
        top.warn("CB215", f"{other.what} is not used: the first leaderboard ranks every phase", other.node, "remove it")
    return tuple(_board(board) for board in boards)


def _one_board(top: Fields) -> Fix | None:
    """The only leaderboard as a list of one: the key is there without its s, and no list."""
    key, board = top.node.entries.get("leaderboard", (None, None))
    if key is None or not isinstance(board, Mapping) or not isinstance(board.get("columns"), Sequence):
        return None
    what = "write leaderboards, as a list of one"
    return mending(what, renamed(top.source, key, "leaderboards"), *listed(top.source, board))


def _board(fields: Fields) -> LeaderboardSpec:
    title = fields.text("title", "", required=True, most=64) or ""
    key = fields.text("key", "", required=True, most=36) or ""
    columns = _columns(fields)
    board = LeaderboardSpec(
        title=title,
        key=key,
        columns=tuple(sorted(columns, key=lambda c: c.index)),
        primary_index=fields.whole("primary_index", 0, least=0) or 0,
        hidden=fields.flag("hidden"),
        submission_rule=SubmissionRule(fields.choice("submission_rule", list(SubmissionRule), SubmissionRule.ADD)),
    )
    _check_primary(fields, board)
    return board.model_copy(update={"extras": fields.extras(expected=_NO_EFFECT)})


def _check_primary(fields: Fields, board: LeaderboardSpec) -> None:
    indexes = [c.index for c in board.columns]
    if not indexes or board.primary_index in indexes or -1 in indexes:
        return
    where = fields.get("primary_index") or fields.get("columns")
    there = ", ".join(map(str, indexes))
    message = f"no column of {fields.what} has the primary index {board.primary_index}"
    fields.error("CB214", message, where, f"set primary_index to the index of the column that ranks first: {there}")


def _columns(fields: Fields) -> list[ColumnSpec]:
    items = fields.items("columns")
    if not items:
        if fields.get("columns") is None:
            fields.missing("columns", f"{fields.what} needs at least one column")
        elif items is not None:
            where = fields.node.get("columns")
            fields.error("CB109", f"{fields.what} needs at least one column", where, "add one with title, key, index")
        return []
    children = _without_twins(fields.children("columns", "column"))
    indexes = [whole_number(child.node.get("index")) for child in children]
    known = {index for index in indexes if index is not None}
    columns = [_column(child, known, None if known else place) for place, child in enumerate(children)]
    _check_unique(children, columns)
    _check_cycles(children, columns)
    return columns


def _without_twins(children: list[Fields]) -> list[Fields]:
    """A column that repeats another word for word is one column: some exports write the last one twice."""
    found: dict[str, Fields] = {}
    for fields in children:
        first = found.setdefault(repr(value(fields.node)), fields)
        if first is not fields:
            message = f"{fields.what} is listed twice; codabench.org refuses this"
            fields.warn("CB107", message, hint="remove one of them")
    return list(found.values())


def _column(fields: Fields, known: set[int], place: int | None) -> ColumnSpec:
    """A column; `place` is its place in a list in which none has an index."""
    title = fields.text("title", "", required=True, most=36) or ""
    key = fields.text("key", "", required=True, most=36) or ""
    if fields.get("index") is None:
        fix = None
        if place is not None:
            before = fields.node.key("key")
            fix = mending(f"add index: {place}", added(fields.source, fields.node, before, "index", str(place)))
        fields.missing("index", fix=fix)
    index = fields.whole("index", None, least=0)
    computation, over = _computation(fields, index, known)
    column = ColumnSpec(
        key=key,
        title=title,
        index=-1 if index is None else index,
        sorting=Sorting(fields.choice("sorting", list(Sorting), Sorting.DESC)),
        precision=fields.whole("precision", 2) or 0,
        hidden=fields.flag("hidden"),
        computation=computation,
        computation_indexes=over,
    )
    return column.model_copy(update={"extras": fields.extras(expected=("id",))})


def _computation(fields: Fields, index: int | None, known: set[int]) -> tuple[Computation | None, tuple[int, ...]]:
    node, listed = fields.get("computation"), fields.get("computation_indexes")
    name = fields.choice("computation", _COMPUTATIONS, "")
    over = _computation_indexes(fields, listed)
    if node is None and over:
        fields.error(
            "CB211", f"{fields.what} has computation_indexes without computation", listed, "add computation: avg"
        )
    if name and not over:
        hint = "list the indexes of the columns it is computed from"
        fields.error("CB210", f"computation {name} of {fields.what} needs computation_indexes", node, hint)
    for other, where in over:
        if other == index:
            fields.error("CB213", f"{fields.what} cannot be computed from itself", where, "remove its own index")
        elif other not in known:
            there = ", ".join(map(str, sorted(known)))
            message = f"there is no column with index {other}; there are {there}"
            fields.error("CB212", message, where, "use the index of another column")
    return Computation(name) if name else None, tuple(other for other, _ in over)


def _computation_indexes(fields: Fields, node: Node | None) -> list[tuple[int, Node]]:
    """A list of numbers, or as other programs write it, one text with commas."""
    if node is None:
        return []
    if isinstance(node, Scalar):
        parts = [part.strip() for part in node.text.split(",") if part.strip()]
        if all(part.isdecimal() and len(part) < 10 for part in parts):
            return [(int(part), node) for part in parts]
    found = []
    for item in node.items if isinstance(node, Sequence) else [node]:
        number = whole_number(item)
        if number is None:
            fields.error(
                "CB102", f"computation_indexes of {fields.what} must be a list of column indexes", item, "[1, 2]"
            )
        else:
            found.append((number, item))
    return found


def _check_unique(children: list[Fields], columns: list[ColumnSpec]) -> None:
    keys: dict[str, Fields] = {}
    indexes: dict[int, Fields] = {}
    for fields, column in zip(children, columns, strict=True):
        first = keys.setdefault(column.key, fields)
        if first is not fields and column.key:
            fields.error("CB107", f"the column key '{column.key}' is used twice", fields.get("key"), "keys are unique")
        first = indexes.setdefault(column.index, fields)
        if first is not fields and column.index >= 0:
            message = f"the column index {column.index} is used twice"
            fields.error("CB107", message, fields.get("index"), "every column has an index of its own")


def _check_cycles(children: list[Fields], columns: list[ColumnSpec]) -> None:
    """Computed columns may use computed columns, but not in a circle."""
    over = {c.index: set(c.computation_indexes) - {c.index} for c in columns}
    ready: set[int] = set()
    while waiting := [i for i in over if i not in ready]:
        free = [i for i in waiting if not (over[i] & over.keys()) - ready]
        if not free:
            for fields in children:
                node = fields.get("computation")
                if node is not None and identifier(fields.node.get("index")) in waiting:
                    message = f"{fields.what} is computed from itself, by way of others"
                    fields.error("CB213", message, node, "compute it from columns that programs write")
            return
        ready.update(free)
