"""``leaderboard`` of format v1.5: boards, and columns that say which board they belong to (contract.md 2.4)."""

from __future__ import annotations

from typing import Any

from codabench.bundle.fields import Fields, shorten
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, value
from codabench.bundle.v15_losses import LOST_IN_COLUMNS, note_losses
from codabench.core.competition import ColumnSpec, Computation, LeaderboardSpec, Sorting, SubmissionRule
from codabench.core.text import did_you_mean

_OPERATIONS = {"Avg": Computation.MEAN_RANK, "MRR": Computation.MRR}
_KNOWN = ("leaderboard", "label", "rank", "numeric_format", "sort", "hidden", "computed", "selection_default")


class _Column:
    """A column as it is written; where it stands is decided when all are known."""

    def __init__(self, key: str, fields: Fields, boards: dict[str, Fields]) -> None:
        self.key, self.fields = key, fields
        for name in _KNOWN:
            fields.get(name)
        self.board = _board_of(fields, boards)
        self.rank = _order(fields)
        self.default = fields.whole("selection_default", 0) or 0
        self.computed = fields.mapping("computed")
        self.spec = ColumnSpec(
            key=key,
            title=(fields.text("label") or "").strip() or key,
            index=0,
            sorting=Sorting(fields.choice("sort", list(Sorting), Sorting.DESC)),
            precision=fields.whole("numeric_format", 2) or 0,
            hidden=fields.flag("hidden"),
        )


def read_leaderboards(top: Fields, rule: SubmissionRule) -> tuple[tuple[LeaderboardSpec, ...], dict[str, Any]]:
    """Every leaderboard that has columns, in the order of rank; and what is kept aside of their common part."""
    outer = top.mapping("leaderboard", required=True)
    if outer is None:
        return (), {}
    outer.get("column_groups")
    boards = dict(outer.named("leaderboards", "leaderboard", required=True))
    columns = [_Column(key, f, boards) for key, f in outer.named("columns", "column", required=True)]
    for what in ("leaderboards", "columns"):
        node = outer.get(what)
        if isinstance(node, Mapping) and not node.entries:
            outer.error("CB109", f"{what} is empty", outer.node.key(what), "add one")
    columns.sort(key=lambda c: c.rank)
    by_key = {c.key: c for c in columns}
    found = []
    for key, fields in sorted(boards.items(), key=lambda board: _order(board[1])):
        own = [c for c in columns if c.board == key]
        title = (fields.text("label") or "").strip() or key
        extras = fields.extras(expected=("rank",))
        if own:
            found.append(
                LeaderboardSpec(key=key, title=title, **_filled(own, by_key), submission_rule=rule, extras=extras)
            )
        elif columns:
            fields.warn("CB109", f"{fields.what} has no columns and is left out", hint="remove it, or give it columns")
    note_losses([c.fields for c in columns], LOST_IN_COLUMNS, " in columns")
    kept = outer.extras()
    if (groups := outer.get("column_groups")) is not None:
        kept["column_groups"] = value(groups)
    return tuple(found), {"leaderboard": kept} if kept else {}


def _order(fields: Fields) -> int:
    number = fields.whole("rank", 1)
    return 1 if number is None else number


def _board_of(fields: Fields, boards: dict[str, Fields]) -> str | None:
    """The key of the board that a column names: by an alias of it, else by its label in any case."""
    node = fields.get("leaderboard")
    if node is None:
        if len(boards) == 1:
            return next(iter(boards))
        fields.missing("leaderboard", hint="name its leaderboard: leaderboard: *RESULTS")
        return None
    for key, board in boards.items():
        if board.node is node:
            return key
    label = node.get("label") if isinstance(node, Mapping) else node
    wanted = label.text.strip() if isinstance(label, Scalar) else ""
    labels = {key: board.node.get("label") for key, board in boards.items()}
    for key, name in labels.items():
        if wanted.casefold() in (key.casefold(), name.text.strip().casefold() if isinstance(name, Scalar) else None):
            return key
    there = [name.text for name in labels.values() if isinstance(name, Scalar)]
    guess = did_you_mean(wanted, there)
    hint = f"did you mean {guess}?" if guess else f"there is {', '.join(map(shorten, there[:9])) or 'none'}"
    fields.error("CB219", f"there is no leaderboard with the label {shorten(wanted)}", label or node, hint)
    return None


# ---------------------------------------------------------------------- columns
def _filled(own: list[_Column], by_key: dict[str, _Column]) -> dict[str, Any]:
    """The columns of a board, and which of them ranks: the highest ``selection_default``, else the first."""
    inputs = {c.key: _inputs(c, by_key) for c in own if c.computed is not None}
    # A column computed from another board's columns takes them along, out of sight.
    foreign = [by_key[k] for keys in inputs.values() for k in keys if by_key[k] not in own]
    place = {c.key: n for n, c in enumerate(dict.fromkeys([*own, *foreign]))}
    columns = []
    for key, n in place.items():
        column = by_key[key]
        changes: dict[str, Any] = {"index": n}
        if column in own:
            changes |= _computation(column, [place[k] for k in inputs.get(key, ())])
            changes["extras"] = column.fields.extras(expected=LOST_IN_COLUMNS)
        else:
            changes["hidden"] = True
        columns.append(column.spec.model_copy(update=changes))
    primary = max(own, key=lambda c: c.default)
    return {"columns": tuple(columns), "primary_index": place[primary.key]}


def _inputs(column: _Column, by_key: dict[str, _Column]) -> list[str]:
    """The keys of the columns that a column is computed from."""
    computed = column.computed
    node = computed.get("fields") if computed else None
    if computed is None or node is None:
        column.fields.error("CB210", f"computed of {column.fields.what} needs fields", hint="fields: a, b")
        return []
    found = []
    for name, where in _listed(node):
        other = by_key.get(name)
        if other is None:
            guess = did_you_mean(name, by_key)
            hint = f"did you mean {guess}?" if guess else "use the keys of columns, with commas between them"
            computed.error("CB212", f"there is no column {shorten(name)} to compute {column.key} from", where, hint)
        elif other.computed is not None:
            message = f"{column.fields.what} cannot be computed from {shorten(name)}, which is computed itself"
            computed.error("CB213", message, where, "use columns that programs write")
        else:
            found.append(name)
    return found


def _computation(column: _Column, over: list[int]) -> dict[str, Any]:
    computed = column.computed
    if computed is None:
        return {}
    name = computed.choice("operation", (*_OPERATIONS, "Max"), "")
    operation = _OPERATIONS.get(name)
    if computed.get("operation") is None:
        computed.error("CB210", f"computed of {column.fields.what} needs an operation", hint="operation: Avg")
    elif name == "Max":
        message = f"{column.fields.what} stays empty: CodaLab knew the operation Max and never computed it"
        computed.warn("CB116", message, computed.get("operation"), "use Avg or MRR")
    weights = _weights(computed)
    if weights and len(weights) != len(over):
        message = f"{len(weights)} weights for {len(over)} columns"
        computed.error("CB210", message, computed.get("weights"), "give one weight for each column of fields")
    if operation is None or not over:
        return {}
    return {"computation": operation, "computation_indexes": tuple(over), "computation_weights": tuple(weights)}


def _weights(computed: Fields) -> list[float]:
    found = []
    for text, where in _listed(computed.get("weights")):
        try:
            found.append(float(text))
        except ValueError:
            computed.error("CB102", f"weights must be numbers, this is {shorten(text)}", where, "0.5, 0.5")
    return found


def _listed(node: Node | None) -> list[tuple[str, Node]]:
    """The parts of one text with commas, or the items of a list."""
    if isinstance(node, Sequence):
        return [(item.text.strip(), item) for item in node.items if isinstance(item, Scalar)]
    parts = node.text.split(",") if isinstance(node, Scalar) else []
    return [(part.strip(), node) for part in parts if part.strip() and node is not None]
