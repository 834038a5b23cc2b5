"""From JSON to the dataclasses of ``models``."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def build(cls: type[T], data: Mapping[str, Any]) -> T:
    """An instance of a dataclass from the members of ``data`` that it knows.

    Members that a newer server adds are left out; those with a default may be absent.
    """
    hints = _hints(typing.cast(Hashable, cls))
    return cls(**{name: _value(hint, data[name]) for name, hint in hints.items() if name in data})


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(typing.cast(Any, cls))}


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return [_value(item, part) for part in value]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value)
    return dt.datetime.fromisoformat(value) if hint is dt.datetime else value
