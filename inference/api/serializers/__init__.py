"""Wire format of the inference API. States are lower case on the wire, upper case in rows."""

from inference.api.serializers.batches import (
    BatchCreateSerializer,
    BatchPreviewSerializer,
    BatchSerializer,
)
from inference.api.serializers.faces import FaceSetSerializer
from inference.api.serializers.jobs import (
    CancelPreviewSerializer,
    JobCreateSerializer,
    JobPageSerializer,
    JobQuerySerializer,
    JobRetrySerializer,
    JobSerializer,
)
from inference.api.serializers.media import (
    AssetPageSerializer,
    AssetSerializer,
    ErasureSerializer,
    ImportSerializer,
    OpenUploadSerializer,
    UploadAnnounceSerializer,
    UploadSerializer,
)
from inference.api.serializers.quotes import QuoteCreateSerializer, QuoteSerializer

__all__ = [
    "AssetPageSerializer",
    "AssetSerializer",
    "BatchCreateSerializer",
    "BatchPreviewSerializer",
    "BatchSerializer",
    "CancelPreviewSerializer",
    "ErasureSerializer",
    "FaceSetSerializer",
    "ImportSerializer",
    "JobCreateSerializer",
    "JobPageSerializer",
    "JobQuerySerializer",
    "JobRetrySerializer",
    "JobSerializer",
    "OpenUploadSerializer",
    "QuoteCreateSerializer",
    "QuoteSerializer",
    "UploadAnnounceSerializer",
    "UploadSerializer",
]
