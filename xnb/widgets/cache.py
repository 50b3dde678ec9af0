"""Results that a widget may be asked for again, a limited number of them."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Result = TypeVar("_Result")


class BoundedCache(Generic[_Key, _Result]):
    """Results by key. When `limit` is reached, the result that was stored first makes room for the next one."""

    def __init__(self, limit: int = 64) -> None:
        self.limit = limit
        self.results: dict[_Key, _Result] = {}

    def get(self, key: _Key, compute: Callable[[], _Result]) -> _Result:
        """Return the stored result of the key, or compute and store it."""
        if key not in self.results:
            self._make_room()
            self.results[key] = compute()
        return self.results[key]

    def _make_room(self) -> None:
        while len(self.results) >= self.limit:
            oldest = next(iter(self.results))
            self.results.pop(oldest)
