"""Wire format of the inference API. States are lower case on the wire, upper case in rows."""

from inference.api.serializers.jobs import (
    JobCreateSerializer,
    JobPageSerializer,
    JobQuerySerializer,
    JobSerializer,
)
from inference.api.serializers.media import AssetPageSerializer, AssetSerializer, UploadSerializer
from inference.api.serializers.quotes import QuoteCreateSerializer, QuoteSerializer

__all__ = [
    "AssetPageSerializer",
    "AssetSerializer",
    "JobCreateSerializer",
    "JobPageSerializer",
    "JobQuerySerializer",
    "JobSerializer",
    "QuoteCreateSerializer",
    "QuoteSerializer",
    "UploadSerializer",
]
