"""The public page that tells whether a file came from here. It needs no account and no script."""

from __future__ import annotations

import re
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from facefusion_site.common import limits
from facefusion_site.common.errors import DomainError, InvalidRequestError
from inference import services
from inference.types import Verdict

_TEMPLATE: Final = "verify/verify.html"
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_MULTIPART_OVERHEAD_BYTES: Final = 64 * 1024
_LABEL_TEXTS: Final[dict[str, Promise]] = {
    "visible": _("the text “AI-generated” in a corner"),
    "c2pa": _("a signed C2PA manifest (Content Credentials)"),
    "iptc": _("the digital source type of IPTC"),
    "aigc": _("the AIGC field of the standard GB 45438"),
}


# Nothing changes by asking; and a token in the body would have all of it read before its size is
# looked at.
@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(never_cache, name="dispatch")
class VerifyPage(View):
    """A form for a file or its digest, and what is known of it."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """The empty form."""
        return render(request, _TEMPLATE, _context())

    def post(self, request: HttpRequest) -> HttpResponse:
        """The form with the answer above it."""
        try:
            limits.check(request, group="verify", rate="VERIFY_RATE", key="ip", is_fail_open=True)
            verdict = _asked(request)
        except DomainError as error:
            context = _context() | {"refusal": error}
            return render(request, _TEMPLATE, context, status=error.http_status)
        labels = [_LABEL_TEXTS[label] for label in verdict.labels]
        return render(request, _TEMPLATE, _context() | {"verdict": verdict, "labels": labels})


def _asked(request: HttpRequest) -> Verdict:
    # Seen before the body is read: nothing of it is written to disk.
    announced = request.META.get("CONTENT_LENGTH") or ""
    bytes_max = settings.VERIFY_BYTES_MAX + _MULTIPART_OVERHEAD_BYTES
    if announced.isdecimal() and int(announced) > bytes_max:
        raise services.verify_too_large()
    file = request.FILES.get("file")
    if file is not None:
        return services.verify_file(file=file)
    digest = request.POST.get("sha256", "").strip()
    if not digest:
        raise InvalidRequestError(_("Choose a file, or enter a SHA-256."), param="file")
    if _SHA256.fullmatch(digest) is None:
        raise InvalidRequestError(_("A SHA-256 has 64 hex digits."), param="sha256")
    return services.verify_digest(sha256=digest)


def _context() -> dict[str, Any]:
    return {"megabytes_max": settings.VERIFY_BYTES_MAX // (1024 * 1024)}
