"""Builds stand-ins and puts them where the engine looks for models."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from onnx import helper

from benchmarks.stand_ins import analysis, pictures, swappers
from benchmarks.stand_ins.pixels import LIGHT, StandInOptions
from inference.pipeline.acquire.importing import Trust, import_file
from inference.pipeline.builtin.graph import Graph
from inference.pipeline.registry.spec import ModelSpec, Registry

_PRODUCER: Final = "benchmarks.stand_ins"
BUILDERS: Final[Mapping[str, Callable[[ModelSpec, StandInOptions], Graph]]] = {
    "yunet": analysis.yunet,
    "scrfd": analysis.scrfd,
    "yoloface": analysis.yoloface,
    "fan2d": analysis.fan2d,
    "peppa": analysis.peppa,
    "fan_68_5": analysis.fan_68_5,
    "arcface": analysis.arcface,
    "fairface": analysis.fairface,
    "inswapper": swappers.inswapper,
    "hyperswap": swappers.hyperswap,
    "latent_swapper": swappers.latent_swapper,
    "image_swapper": swappers.image_swapper,
    "crossface": swappers.crossface,
    "xseg": pictures.xseg,
    "bisenet": pictures.bisenet,
    "face_enhancer": pictures.face_enhancer,
    "codeformer": pictures.codeformer,
    "upscaler": pictures.upscaler,
    "nsfw_detector": pictures.nsfw_detector,
    "nsfw_logits": pictures.nsfw_logits,
}


def build_stand_in(spec: ModelSpec, options: StandInOptions = LIGHT) -> bytes:
    """The ONNX file that stands in for a described model; equal bytes for equal arguments.

    Raises:
        KeyError: a contract without a stand-in. The built-in models need none: they are built.
    """
    model = BUILDERS[spec.contract](spec, options).model(spec.key.replace(".", "_"))
    model.producer_name = _PRODUCER
    helper.set_model_props(model, {"stand_in_for": spec.key})
    return bytes(model.SerializeToString(deterministic=True))


def install_stand_ins(
    *,
    registry: Registry,
    keys: Iterable[str],
    model_dir: Path,
    options: StandInOptions = LIGHT,
) -> Registry:
    """Import stand-ins for the models into a folder.

    Returns:
        The registry in which these models are described with the checksums of their stand-ins and
        are cleared for any use, so that a session pool opens them like real ones.
    """
    models = dict(registry.models)
    for key in keys:
        data = build_stand_in(registry.spec(key), options)
        models[key] = dataclasses.replace(
            registry.spec(key),
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            commercial_ok=True,
        )
        model_dir.mkdir(parents=True, exist_ok=True)
        file = model_dir / f"{key}.stand_in"
        file.write_bytes(data)
        import_file(
            spec=models[key],
            path=file,
            model_dir=model_dir,
            trust=Trust(),
            on_bytes=lambda count: None,
        )
        file.unlink()
    return Registry(models=models)
