"""What happens to a job, as it happens."""

from __future__ import annotations

import uuid

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request

from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.schema import problems
from inference import selectors, watching
from inference.api import schema
from inference.api.event_stream import CONTENT_TYPE, EventStream, event
from inference.api.negotiation import AnyAcceptNegotiation
from inference.errors import JobNotFoundError
from inference.job_errors import TooManyListenersError


class JobEventsView(ScopedView):
    """The events of one job."""

    scopes = {"GET": "jobs:read"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="jobs_events",
        summary="Follow a job",
        tags=["jobs"],
        parameters=[schema.LAST_EVENT_ID],
        responses={
            (200, CONTENT_TYPE): OpenApiTypes.STR,
            204: OpenApiResponse(description="The end was told already: do not connect again."),
            **problems(JobNotFoundError, TooManyListenersError),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponseBase:
        """Server-sent events: `state` with each change, then `end`. Polling tells the same."""
        owner_id = drf.user_id(request)
        detail = selectors.job_detail(owner_id=owner_id, job_id=job_id)
        last_event_id = request.headers.get("Last-Event-ID", "")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if not detail.job.is_final:
            listener = watching.watch.listen(job_id=job_id, owner_id=owner_id)
            stream = EventStream(listener, job_id=job_id, last_event_id=last_event_id)
            return StreamingHttpResponse(stream, content_type=CONTENT_TYPE, headers=headers)
        state = watching.state_of(detail.job, queue_position=None, eta_s=None)
        if state.id == last_event_id:
            return HttpResponse(status=status.HTTP_204_NO_CONTENT, headers=headers)
        return HttpResponse(event(job_id, state), content_type=CONTENT_TYPE, headers=headers)
