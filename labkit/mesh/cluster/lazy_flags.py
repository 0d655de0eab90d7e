"""Response flags that are looked up when somebody asks for them: a cluster's access log is up to a
second behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labkit.traffic import Response, Result

if TYPE_CHECKING:
    import pandas as pd


class LazyFlags(Result):
    """A result that knows statuses and pods at once, and asks the access log when its flags are
    read.
    """

    def __init__(self, plain: Result, look: Callable[[], Mapping[str, str]]) -> None:
        self.__dict__.update(plain.__dict__)
        self.look: Callable[[], Mapping[str, str]] | None = look

    def resolve(self) -> None:
        """Looks the flags up, once."""
        if self.look is not None:
            look, self.look = self.look, None
            with_flags = self.with_flags(look())
            self.__dict__.update(with_flags.__dict__)

    @property
    def frame(self) -> pd.DataFrame:
        self.resolve()
        return super().frame

    def column(self, name: str) -> Sequence[Any]:
        if name == "flags":
            self.resolve()
        return super().column(name)

    def __getitem__(self, index: int) -> Response:
        self.resolve()
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Response]:
        self.resolve()
        return super().__iter__()
