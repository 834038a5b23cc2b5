"""Quotes refuse options with which a job could only fail: models that are not there, and sizes."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from benchmarks.stand_ins.build import install_stand_ins
from inference.models import SwapQuote
from inference.pipeline.registry.load import load_registry
from inference.tests import factories
from tokens import selectors as tokens_selectors

pytestmark = pytest.mark.django_db
ENLARGER = "real_esrgan_x8"


@pytest.fixture
def install(settings, tmp_path):
    """Puts stand-ins into the models' folder of this deployment, which is empty before."""
    settings.MODELS_DIR = tmp_path / "models"
    settings.MODEL_POLICY = "any"

    def put(*keys: str) -> None:
        install_stand_ins(registry=load_registry(), keys=keys, model_dir=settings.MODELS_DIR)

    return put


@pytest.fixture
def ask(client_of):
    """Asks for a quote of a picture of 64 x 48 px, or of another one."""
    user = factories.make_user(tokens=10)

    def post(target: bytes | None = None, **options):
        body = {
            "operation": "image_swap",
            "source_asset_id": str(factories.make_asset(owner_id=user.pk).pk),
            "target_asset_id": str(factories.make_asset(owner_id=user.pk, data=target).pk),
            "options": {"target_faces": "all", **options},
        }
        answer = client_of(user).post("/api/v1/quotes", body, format="json")
        is_made = answer.status_code == 201
        assert SwapQuote.objects.exists() == is_made
        assert tokens_selectors.balance(user_id=user.pk).available == 10
        return answer

    return post


def plain(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("options", "param", "key"),
    [
        ({"filter": {"gender": "female"}}, "options.filter", "fairface"),
        (
            {"spec": {"selector": {"filter": {"age_from": 20}}}},
            "options.spec.selector.filter",
            "fairface",
        ),
        (
            {"spec": {"masks": {"kinds": ["region"]}}},
            "options.spec.masks.parser",
            "bisenet_resnet_34",
        ),
        (
            {"spec": {"masks": {"kinds": ["occlusion"]}}},
            "options.spec.masks.occluders",
            "xseg_1",
        ),
        (
            {"spec": {"face_enhancer": {"model": "gfpgan_1.4"}}},
            "options.spec.face_enhancer.model",
            "gfpgan_1.4",
        ),
    ],
)
def test_a_model_that_is_not_installed_is_named(install, ask, options, param, key):
    answer = ask(**options)
    assert (answer.status_code, answer.data["code"]) == (422, "model_not_installed"), answer.data
    assert (answer.data["param"], answer.data["model"]) == (param, key)
    assert key in answer.data["detail"]

    install(key)
    assert ask(**options).status_code == 201


def test_models_that_a_model_needs_have_to_be_there_too(install, ask):
    spec = {"swapper": {"model": "ghost_1_256"}}
    missing = []
    for key in ("ghost_1_256", "arcface_w600k_r50", "crossface_ghost"):
        answer = ask(spec=spec)
        assert answer.data["code"] == "model_not_installed"
        assert answer.data["param"] == "options.spec.swapper.model"
        missing.append(answer.data["model"])
        install(key)

    assert missing == ["ghost_1_256", "arcface_w600k_r50", "crossface_ghost"]
    assert ask(spec=spec).status_code == 201


def test_a_filter_by_race_needs_the_operators_leave(install, ask, settings):
    install("fairface")
    refused = ask(filter={"race": "white"})
    assert (refused.status_code, refused.data["code"]) == (422, "invalid_options")
    assert refused.data["param"] == "options.filter.race"

    settings.FACES_ALLOW_RACE = True
    assert ask(filter={"race": "white"}).status_code == 201


def test_a_filter_is_part_of_the_promise(install, ask):
    install("fairface")
    refused = ask(filter={"age_from": 60, "age_to": 20})
    assert (refused.status_code, refused.data["code"]) == (422, "invalid_options")
    assert refused.data["param"] == "options.filter.age_to"

    wanted = {"gender": "female", "age_from": 20, "age_to": 60}
    answer = ask(filter=wanted)
    assert answer.status_code == 201, answer.data
    assert answer.data["options"] == {"target_faces": "all", "filter": wanted}


def test_a_result_may_have_as_many_pixels_as_the_limit_and_no_more(install, ask, settings):
    install(ENLARGER)
    spec = {"frame_enhancer": {"model": ENLARGER}}
    settings.IMAGE_PIXELS_MAX = 64 * 48 * 64 - 1

    answer = ask(spec=spec)

    assert (answer.status_code, answer.data["code"]) == (422, "result_too_large")
    assert answer.data["param"] == "options.spec.frame_enhancer.model"
    assert "512 x 384 px" in answer.data["detail"]
    settings.IMAGE_PIXELS_MAX += 1
    assert ask(spec=spec).status_code == 201


def test_no_side_of_a_result_is_longer_than_a_picture_can_have(install, ask):
    install(ENLARGER)
    spec = {"frame_enhancer": {"model": ENLARGER}}

    answer = ask(plain(2048, 104), spec=spec)

    assert (answer.status_code, answer.data["code"]) == (422, "result_too_large")
    assert "16384 x 832 px" in answer.data["detail"]
    assert ask(plain(2047, 104), spec=spec).status_code == 201
