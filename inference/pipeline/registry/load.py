"""Reads models.toml, and a deployment's own file in the same form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from inference.pipeline.registry.spec import ModelOrigin, ModelSpec, Registry, TensorSpec

REGISTRY_FILE: Final = Path(__file__).parents[1] / "models.toml"

_Table = dict[str, Any]
#: In a shape: the side of the model's crop, so that one family describes several sizes.
_CROP_SIDE: Final = "S"
_DTYPE: Final = "tensor(float)"
_SHA256: Final = re.compile("[0-9a-f]{64}")
_COLOURS: Final = ("RGB", "BGR", "none")


def load_registry(*, extra: Path | None = None) -> Registry:
    """Read models.toml and, after it, a deployment's own file.

    A file has the tables ``defaults`` (for all its models), ``families`` (by name) and ``models``
    (by key). A model takes the values of its ``family`` over the defaults, and its own over both;
    ``params`` are merged value by value. The own file may use the families of models.toml.

    Raises:
        ValueError: a file is not a registry; says which model and what is wrong.
    """
    tables = _read(REGISTRY_FILE)
    models = _parse_models(tables, where=REGISTRY_FILE.name)
    if extra is not None:
        own = _read(extra)
        own["defaults"] = {**tables["defaults"], **own.get("defaults", {})}
        own["families"] = {**tables.get("families", {}), **own.get("families", {})}
        for key, spec in _parse_models(own, where=extra.name).items():
            if key in models:
                raise ValueError(f"{extra.name}: '{key}' is described in models.toml already")
            models[key] = spec
    _check_references(models)
    return Registry(models=MappingProxyType(models))


def _read(path: Path) -> _Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read as TOML: {error}") from error


def _parse_models(tables: _Table, *, where: str) -> dict[str, ModelSpec]:
    unknown = set(tables) - {"defaults", "families", "models"}
    if unknown:
        raise ValueError(f"{where}: unknown tables {sorted(unknown)}")
    models = {}
    for key, own in tables.get("models", {}).items():
        try:
            models[key] = _parse_spec(key, own, tables)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{where}: model '{key}': {error}") from error
    return models


def _parse_spec(key: str, own: _Table, tables: _Table) -> ModelSpec:
    family = tables.get("families", {})[own["family"]] if "family" in own else {}
    layers = [tables.get("defaults", {}), family, own]
    merged: _Table = {name: value for layer in layers for name, value in layer.items()}
    merged["params"] = MappingProxyType(
        {name: value for layer in layers for name, value in layer.get("params", {}).items()}
    )
    merged.pop("family", None)
    merged.setdefault("file", f"{key}.onnx")
    tag = merged.pop("tag", "")
    merged["sources"] = _expand(merged["sources"], tag=tag, file=merged["file"])
    origin = merged.get("origin")
    merged["origin"] = None if origin is None else ModelOrigin(**origin)
    for side in ("inputs", "outputs"):
        merged[side] = tuple(_parse_tensor(table, merged) for table in merged[side])
    for name in ("mean", "std"):
        merged[name] = tuple(float(value) for value in merged[name])
    merged["requires"] = tuple(merged["requires"])
    spec = ModelSpec(key=key, **merged)
    _check_spec(spec)
    return spec


def _expand(templates: Iterable[str], *, tag: str, file: str) -> tuple[str, ...]:
    """Addresses of one file; a template with ``{tag}`` is left out for a model without a tag."""
    return tuple(
        template.format(tag=tag, file=file)
        for template in templates
        if tag or "{tag}" not in template
    )


def _parse_tensor(table: _Table, merged: Mapping[str, Any]) -> TensorSpec:
    shape = table.get("shape")
    if shape is not None:
        shape = tuple(merged["crop_size_px"] if size == _CROP_SIDE else size for size in shape)
    return TensorSpec(name=table["name"], dtype=table.get("dtype", _DTYPE), shape=shape)


def _check_spec(spec: ModelSpec) -> None:
    if Path(spec.file).name != spec.file or not spec.file.endswith(".onnx"):
        raise ValueError(f"file '{spec.file}' is not a plain name with the ending .onnx")
    if spec.sha256 and not _SHA256.fullmatch(spec.sha256):
        raise ValueError("sha256 is not 64 lowercase hex digits")
    if spec.colour not in _COLOURS:
        raise ValueError(f"colour is '{spec.colour}', it must be one of {', '.join(_COLOURS)}")
    if spec.outputs_by not in ("name", "position"):
        raise ValueError(f"outputs_by is '{spec.outputs_by}', it must be name or position")
    if any(not url.startswith(("https://", "http://")) for url in spec.sources):
        raise ValueError("sources must be http or https addresses")
    if not spec.inputs or not spec.outputs:
        raise ValueError("a model needs inputs and outputs")


def _check_references(models: Mapping[str, ModelSpec]) -> None:
    files: dict[str, str] = {}
    for spec in models.values():
        for key in (*spec.requires, *filter(None, [spec.fp16_key])):
            if key not in models:
                raise ValueError(f"model '{spec.key}' names '{key}', which is not described")
        if files.setdefault(spec.file, spec.key) != spec.key:
            raise ValueError(f"'{spec.key}' and '{files[spec.file]}' have the same file name")
    for key in models:
        _check_no_circle(models, key, above=())


def _check_no_circle(models: Mapping[str, ModelSpec], key: str, *, above: tuple[str, ...]) -> None:
    if key in above:
        raise ValueError(f"models need each other in a circle: {' -> '.join((*above, key))}")
    for needed in models[key].requires:
        _check_no_circle(models, needed, above=(*above, key))
