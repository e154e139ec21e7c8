"""Tuples whose items are also found by what people call them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from codabench.workspace.admission import pick

T = TypeVar("T")


class Named(tuple[T, ...]):
    """A tuple that also takes a name: ``comp.phases["Final"]``. A miss says what there is and what was meant."""

    _what: str
    _name: Callable[[T], str]

    @classmethod
    def of(cls, items: Iterable[T], what: str, name: Callable[[T], str]) -> Named[T]:
        """The items, found by `name`; `what` is how messages call one of them."""
        made = cls(items)
        made._what, made._name = what, name
        return made

    @overload  # type: ignore[override]
    def __getitem__(self, key: int | str) -> T: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[T, ...]: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            places = list(enumerate(self))
            return pick(places, key, self._what, lambda p: p[0], lambda p: self._name(p[1]))[1]
        return super().__getitem__(key)
