"""Labels of every format: written, read back, changed, forged, and written anew by others."""

from __future__ import annotations

import dataclasses
import io
import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import av
import numpy as np
import pytest
from PIL import Image as PilImage

from inference.pipeline.image_io import ImageFormat
from inference.pipeline.labels import visible
from inference.pipeline.labels.certificate import make_credentials
from inference.pipeline.labels.facts import (
    DIGITAL_SOURCE_TYPE,
    PROFILES,
    LabelError,
    visible_text,
)
from inference.pipeline.labels.reading import FoundLabels, read_labels
from inference.pipeline.labels.signing import LabelSigner, LabelTrust
from inference.pipeline.labels.writing import Labeller
from inference.pipeline.types import Image
from inference.pipeline.video.types import ContainerName
from inference.tests.pipeline.labels.samples import (
    BOTH,
    VIDEO_TYPES,
    labelled_video,
    make_mark,
    make_signer,
    noise,
)
from inference.tests.pipeline.video.media import LIMITS

SIGNER = make_signer()
TRUST = SIGNER.trust()
TEXT = visible_text(BOTH)
IMAGES: tuple[ImageFormat, ...] = ("jpeg", "png", "webp")
# What a container can carry; see docs/labels.md.
KINDS: dict[str, tuple[str, ...]] = {
    "jpeg": ("c2pa", "iptc", "aigc"),
    "png": ("c2pa", "iptc", "aigc"),
    "webp": ("c2pa", "iptc", "aigc"),
    "mp4": ("c2pa", "iptc", "aigc"),
    "mov": ("c2pa", "iptc", "aigc"),
    "mkv": ("iptc", "aigc"),
    "webm": ("iptc", "aigc"),
}


def test_the_docs_list_what_each_file_carries() -> None:
    page = Path(__file__).parents[4] / "docs" / "labels.md"
    rows = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].strip("`") in KINDS:
            rows[cells[0].strip("`")] = tuple(
                kind
                for kind, cell in zip(("c2pa", "iptc", "aigc"), cells[2:], strict=True)
                if cell != "no"
            )
    assert rows == KINDS


def read_picture(data: bytes, name: ImageFormat, *, trust: LabelTrust = TRUST) -> FoundLabels:
    return read_labels(io.BytesIO(data), content_type=f"image/{name}", trust=trust)


def read_video(path: Path, name: ContainerName) -> FoundLabels:
    with path.open("rb") as file:
        return read_labels(file, content_type=VIDEO_TYPES[name], trust=TRUST)


def pixels(data: bytes) -> Image:
    return np.asarray(PilImage.open(io.BytesIO(data)).convert("RGB"))[:, :, ::-1].copy()


def frames_of(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [
            np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("name", IMAGES)
def test_a_picture_carries_every_label(name: ImageFormat) -> None:
    mark = make_mark()
    made = Labeller(mark=mark, signer=SIGNER).picture(noise(), format=name)

    found = read_picture(made.data, name)

    assert found.signature == "ours"
    assert found.digital_source_type == DIGITAL_SOURCE_TYPE
    assert found.aigc_day == mark.made_on
    assert found.aigc["Label"] == "1"
    assert found.aigc["ContentProducer"] == mark.producer
    assert found.produce_id == str(mark.produce_id)
    assert found.kinds == KINDS[name]
    assert visible.likeness(pixels(made.data), text=TEXT) >= visible.LIKENESS_MIN


@pytest.mark.parametrize("name", VIDEO_TYPES)
def test_a_video_carries_what_its_container_takes(tmp_path: Path, name: ContainerName) -> None:
    mark = make_mark()
    path = labelled_video(tmp_path, name, labeller=Labeller(mark=mark, signer=SIGNER), seconds=3)

    found = read_video(path, name)

    assert found.kinds == KINDS[name]
    assert found.signature == ("ours" if "c2pa" in KINDS[name] else "none")
    assert (found.produce_id, found.aigc_day) == (str(mark.produce_id), mark.made_on)
    frames = frames_of(path)
    assert len(frames) == 75
    for frame, share in ((0, 0.05), (49, 0.05), (50, 0.025), (74, 0.025)):
        assert visible.likeness(frames[frame], text=TEXT, share=share) >= visible.LIKENESS_MIN
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "Film"


@pytest.mark.parametrize("name", IMAGES)
def test_a_changed_picture_says_that_it_was_changed(name: ImageFormat) -> None:
    data = bytearray(Labeller(mark=make_mark(), signer=SIGNER).picture(noise(), format=name).data)
    data[-len(data) // 4] ^= 1

    assert read_picture(bytes(data), name).signature == "ours_changed"


def test_a_changed_video_says_that_it_was_changed(tmp_path: Path) -> None:
    path = labelled_video(tmp_path, "mp4", labeller=Labeller(mark=make_mark(), signer=SIGNER))
    data = bytearray(path.read_bytes())
    data[data.index(b"mdat") + 200] ^= 1
    path.write_bytes(data)

    assert read_video(path, "mp4").signature == "ours_changed"


@pytest.mark.parametrize("quality", [90, 50])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_what_people_see_survives_where_metadata_do_not(quality: int, scale: float) -> None:
    data = (
        Labeller(mark=make_mark(), signer=SIGNER)
        .picture(noise(width=1280, height=960), format="png")
        .data
    )
    picture = PilImage.open(io.BytesIO(data))
    out = io.BytesIO()
    picture.resize((int(1280 * scale), int(960 * scale))).save(out, "JPEG", quality=quality)

    assert visible.likeness(pixels(out.getvalue()), text=TEXT) >= visible.LIKENESS_MIN
    assert read_picture(out.getvalue(), "jpeg").kinds == ()


def test_what_people_see_in_a_video_survives_another_encoder(tmp_path: Path) -> None:
    path = labelled_video(tmp_path, "mp4", labeller=Labeller(mark=make_mark(), signer=SIGNER))
    again = tmp_path / "again.webm"
    with av.open(str(path)) as source, av.open(str(again), "w") as out:
        stream = out.add_stream("libvpx-vp9", rate=25, options={"crf": "40", "b": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in source.decode(video=0):
            frame.pict_type = 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    assert visible.likeness(frames_of(again)[0], text=TEXT) >= visible.LIKENESS_MIN
    assert read_video(again, "webm").kinds == ()


@pytest.mark.parametrize("grey", [0, 90, 128, 255])
@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (320, 240), (64, 48)])
def test_the_visible_label_is_legible_on_any_ground(grey: int, size: tuple[int, int]) -> None:
    width, height = size
    ground = np.full((height, width, 3), grey, dtype=np.uint8)

    stamped = visible.stamp(ground, text=TEXT)

    assert visible.likeness(stamped, text=TEXT) > 0.9
    changed = np.argwhere(np.any(stamped != ground, axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    # A corner, and nothing else.
    assert top > height * 0.7 if height > 100 else top > 0
    assert bottom < height
    assert right < width
    if min(size) > 100:
        assert bottom - top >= 0.05 * min(size)
        assert left > width * 0.2


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_has_its_text(profile) -> None:
    ground = noise()
    text = visible_text([profile])
    stamped = visible.stamp(ground, text=text)

    assert visible.likeness(stamped, text=text) >= visible.LIKENESS_MIN
    assert visible.likeness(ground, text=text) < 0.4
    other = next(visible_text([name]) for name in PROFILES if name != profile)
    assert visible.likeness(stamped, text=other) < visible.LIKENESS_MIN


def test_what_is_transparent_under_the_label_becomes_opaque() -> None:
    frame, alpha = noise(), np.zeros((240, 320), dtype=np.uint8)

    stamped, shown = visible.VideoStamp(text=TEXT).apply(frame, alpha=alpha, time_s=Fraction(0))

    assert shown is not None
    is_changed = np.any(stamped != frame, axis=2)
    assert np.all(shown[is_changed] == 255)
    assert np.count_nonzero(shown) < shown.size * 0.2
    assert not alpha.any(), "the frame itself is compared with the next one"


def test_a_picture_without_room_for_a_label_does_not_go_out() -> None:
    with pytest.raises(LabelError, match="too small"):
        Labeller(mark=make_mark(), signer=SIGNER).picture(noise(width=12, height=12), format="png")


def test_nothing_goes_out_whose_labels_do_not_read_back(monkeypatch, tmp_path: Path) -> None:
    labeller = Labeller(mark=make_mark(), signer=SIGNER)
    path = labelled_video(tmp_path, "mp4", labeller=labeller)
    another = Labeller(mark=make_mark(), signer=SIGNER)
    # Tags that were lost, and those of another result.
    untagged = tmp_path / "untagged.mkv"
    shutil.copy(path, untagged)
    with pytest.raises(LabelError, match="digital source type"):
        labeller.video(untagged, container="mkv", limits=LIMITS)
    mixed = SimpleNamespace(video_tags=another.video_tags, video=labeller.video)
    with pytest.raises(LabelError, match="tags of the video"):
        labelled_video(tmp_path, "mp4", labeller=cast("Labeller", mixed))
    with pytest.raises(LabelError, match="AIGC"):
        another.video(path, container="mp4", limits=LIMITS)
    monkeypatch.setattr(visible, "stamp", lambda image_bgr, **_: image_bgr)
    with pytest.raises(LabelError, match="not legible"):
        labeller.picture(noise(), format="jpeg")


def test_a_manifest_of_somebody_else_is_not_ours() -> None:
    stranger = make_signer(organization="Somebody")
    data = Labeller(mark=make_mark(), signer=stranger).picture(noise(), format="png").data

    found = read_picture(data, "png")

    assert (found.signature, found.aigc_day) == ("foreign", None)
    both = LabelTrust(chains=[SIGNER.chain_pem, stranger.chain_pem])
    assert read_picture(data, "png", trust=both).signature == "ours", "a retired signer of ours"


def test_a_proof_covers_its_id_and_its_day() -> None:
    mark = make_mark()
    proof = SIGNER.proof(mark)
    ids = str(mark.produce_id)

    assert TRUST.day_of_proof(proof, produce_id=ids) == mark.made_on
    assert TRUST.day_of_proof(proof, produce_id=str(make_mark().produce_id)) is None
    assert TRUST.day_of_proof("20260101" + proof[8:], produce_id=ids) is None
    for broken in ("", ".", "x.y", "20261124", "20261124.####", proof * 9):
        assert TRUST.day_of_proof(broken, produce_id=ids) is None
    dated = dataclasses.replace(mark, made_on=mark.made_on.replace(day=1))
    assert SIGNER.proof(dated) != proof


def test_files_that_are_no_media_say_nothing() -> None:
    for content_type in ("image/png", "video/mp4", "video/webm"):
        found = read_labels(io.BytesIO(b"\x89PNG nothing"), content_type=content_type, trust=TRUST)
        assert found.aigc_day is None
        assert found.digital_source_type == ""
        assert found.signature in {"none", "foreign"}


def test_a_key_needs_its_own_certificate() -> None:
    one, other = make_credentials(organization="One"), make_credentials(organization="Other")
    for key, chain in (
        (one.key_pem, other.chain_pem),
        (b"nothing", one.chain_pem),
        (one.key_pem, b"nothing"),
    ):
        with pytest.raises(LabelError):
            LabelSigner(key_pem=key, chain_pem=chain)


def test_readers_of_others_find_the_fields() -> None:
    """The raw bytes carry the standards' names: no reader of ours is needed to find them."""
    data = Labeller(mark=make_mark(), signer=SIGNER).picture(noise(), format="webp").data
    for needle in (
        b"http://www.tc260.org.cn/ns/AIGC/1.0/",
        b"http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        DIGITAL_SOURCE_TYPE.encode(),
        b"c2pa.actions.v2",
    ):
        assert needle in data
