"""What the API is compared with: a Django project of one view, without middleware and database."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, USE_TZ=True)


def nothing(_request: HttpRequest) -> JsonResponse:
    """Answer with the least that is JSON."""
    answer = JsonResponse({"status": "ok"})
    # With its length the answer needs no chunks, like those of the product.
    answer.headers["Content-Length"] = str(len(answer.content))
    return answer


urlpatterns = [path("", nothing)]
application = get_wsgi_application()
