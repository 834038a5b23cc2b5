"""What people agree to, word for word.

A text of a version never changes, because consents keep its digest: a new wording is a new version.
That is why these are no messages for translators: each language has its own text here.
"""

from __future__ import annotations

import hashlib
from typing import Final

from trust.types import ConsentKind

VERSION: Final = "2026-11"
LANGUAGES: Final = ("en", "zh-hans")
_TEXTS: Final[dict[str, dict[ConsentKind, str]]] = {
    "en": {
        ConsentKind.SELF: (
            "The faces in the source pictures that I upload are my own. I know that my face will "
            "be put onto other pictures and videos by a computer, that the results are marked as "
            "made by AI, and that marks must not be removed. The pictures are used for the swaps "
            "that I order and for nothing else; they are deleted when I delete them, when I revoke "
            "this consent, and at the latest when their time here is over. I may revoke this "
            "consent at any time, without giving a reason; what was made before is not undone by "
            "that."
        ),
        ConsentKind.DOCUMENTED: (
            "The person shown in the source pictures named here was told that the face will be "
            "put onto other pictures and videos by a computer, what for, and for how long, and has "
            "agreed to it separately and in writing; for a child under 14 a parent or guardian "
            "has. I hold the document, I will show it when I am asked with good reason, and I "
            "revoke this consent here as soon as the person revokes it. I know that results are "
            "marked as made by AI and that marks must not be removed."
        ),
        ConsentKind.LICENSED: (
            "I hold a licence of whoever may grant the use of the face in the source pictures "
            "named here. It covers putting the face onto other pictures and videos by a computer. "
            "I will show it when I am asked with good reason, and I revoke this consent here as "
            "soon as the licence ends. I know that results are marked as made by AI and that marks "
            "must not be removed."
        ),
    },
    "zh-hans": {
        ConsentKind.SELF: (
            "我上传的来源图片中的人脸均为本人。我知悉:我的人脸将由计算机替换到其他图片和视频中,"
            "生成的结果会标注为人工智能生成,且不得移除该标注。这些图片只用于我下单的换脸,"
            "不作他用;在我删除图片、撤回本同意时,或最迟在保存期限届满时删除。"
            "我可以随时撤回本同意,无需说明理由;撤回不影响此前已生成的内容。"
        ),
        ConsentKind.DOCUMENTED: (
            "此处所列来源图片中的人已被告知:其人脸将由计算机替换到其他图片和视频中,以及用途和期限,"
            "并已就此单独作出书面同意;未满 14 周岁的,由其父母或其他监护人同意。我持有该书面文件,"
            "在有正当理由要求时予以出示;当事人撤回同意时,我会立即在此撤回。"
            "我知悉生成的结果会标注为人工智能生成,且不得移除该标注。"
        ),
        ConsentKind.LICENSED: (
            "对此处所列来源图片中的人脸,我持有有权授权者授予的许可,"
            "许可范围包括由计算机将该人脸替换到其他图片和视频中。在有正当理由要求时我会出示许可文件;"
            "许可终止时,我会立即在此撤回本同意。我知悉生成的结果会标注为人工智能生成,"
            "且不得移除该标注。"
        ),
    },
}


def text(*, kind: ConsentKind, language: str) -> str:
    """The text of the current version; English for a language that has none."""
    return _TEXTS.get(language, _TEXTS["en"])[kind]


def digest(*, kind: ConsentKind, language: str) -> str:
    """SHA-256 of the text as UTF-8, 64 hex digits."""
    return hashlib.sha256(text(kind=kind, language=language).encode()).hexdigest()
