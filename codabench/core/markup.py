"""Static HTML for notebooks and pages: scoped styles, light and dark, no script, every text escaped (security.md H07).

What is made here stays below `LIMIT`, so that a saved notebook stays small.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from codabench.core.text import cut, plural, printable

LIMIT = 20_000
"""Bytes of one display, its style included."""

# Jupyter and VS Code say which colours they are in; elsewhere the browser's preference decides.
STYLE = """<style>
.cb{--i:#1a1f26;--d:#5b6470;--l:#d5dae1;--t:#f3f6fa;--g:#1a7f37;--r:#c62828;--y:#9a6700;
font:14px/1.45 system-ui,sans-serif}
@media(prefers-color-scheme:dark){.cb{--i:#e6e9ee;--d:#9aa4b2;--l:#3a414c;--t:#20262f;--g:#57ab5a;--r:#f47067;--y:#c69026}}
.cb{--ink:var(--jp-content-font-color1,var(--vscode-editor-foreground,var(--i)));
--dim:var(--jp-content-font-color2,var(--d));--line:var(--jp-border-color2,var(--l));
--tint:var(--jp-rendermime-table-row-background,var(--t));color:var(--ink);overflow-x:auto}
.cb table{border-collapse:collapse;margin:.3em 0}
.cb caption,.cb h4{text-align:left;font-weight:600;margin:0;padding:.2em .6em}
.cb th,.cb td{padding:.2em .7em;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
.cb th{color:var(--dim);font-weight:500}.cb th.p{color:var(--ink);font-weight:700}
.cb i{font-style:normal;font-size:.75em}
.cb tbody tr:nth-child(odd){background:var(--tint)}
.cb .n{text-align:right;font-variant-numeric:tabular-nums}.cb .m,.cb p,.cb small{color:var(--dim)}
.cb p{margin:.1em .6em;font-size:.85em}.cb pre{line-height:1.3;margin:.3em .6em;overflow-x:auto;color:inherit}
.cb ul{margin:0;padding-left:1.4em}.cb summary{cursor:pointer}.cb details{margin:.1em .6em}
.cb .ok{color:var(--g)}.cb .bad{color:var(--r)}.cb .warn{color:var(--y)}
</style>"""


def escape(text: object) -> str:
    """Text as HTML shows it, also inside an attribute; what cannot be seen is spelt out."""
    return html.escape(printable(str(text)))


def one_line(text: str, most: int = 64) -> str:
    """`text` as it can be seen, on one line of at most that many columns of a terminal."""
    return cut(" ".join(printable(text).split()), most)


def block(kind: str, *parts: str) -> str:
    """Parts of HTML as one display with its own style; `kind` is a class for style sheets."""
    return f'<div class="cb cb-{kind}">{STYLE}{"".join(parts)}</div>'


def note(text: str, kind: str = "") -> str:
    """A small paragraph."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def number(text: str, kind: str = "") -> str:
    """A cell of a table that holds a number."""
    return f'<td class="{f"n {kind}".strip()}">{escape(text)}</td>'


def cell(text: str, kind: str = "", most: int = 64) -> str:
    """A cell of a table that holds text, cut to one line of at most that many characters."""
    mark = f' class="{kind}"' if kind else ""
    return f"<td{mark}>{escape(one_line(text, most))}</td>"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table of cells as `cell` and `number` make them; `head` is text, `numbers` the places of numeric columns."""
    heads = "".join(
        f'<th scope="col"{" class=n" if place in numbers else ""}>{escape(one_line(text))}</th>'
        for place, text in enumerate(head)
    )
    body = fitting([f"<tr>{''.join(row)}</tr>" for row in rows], "row", wrap=f'<tr><td class="m" colspan={len(head)}>')
    caption = f"<caption>{escape(one_line(title))}</caption>" if title else ""
    return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def fitting(parts: Sequence[str], noun: str, *, wrap: str = "<p>", limit: int = LIMIT - 5_000) -> str:
    """As many `parts` as fit into `limit` bytes, and how many were left out."""
    taken, size = 0, 0
    for part in parts:
        size += len(part.encode())
        if size > limit:
            break
        taken += 1
    left = len(parts) - taken
    return "".join(parts[:taken]) + (f"{wrap}… {plural(left, f'more {noun}')}" if left else "")
