"""Runs a video through a frame function: decode once, process in parallel, encode in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

from av.container import OutputContainer

from inference.pipeline.errors import StoppedError
from inference.pipeline.types import Observer
from inference.pipeline.video.carry import StreamCarrier, carry_plan
from inference.pipeline.video.errors import UnreadableVideoError
from inference.pipeline.video.formats import choose_format
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.render import Rendered, Rendering
from inference.pipeline.video.types import (
    FrameFn,
    FrameObserver,
    Segment,
    StreamOutcome,
    TrackedFrameFn,
    TranscodeOptions,
    VideoProgress,
    VideoReport,
)
from inference.pipeline.video.workers import ordered_map
from inference.pipeline.video.writer import (
    VideoEncoder,
    open_output,
    result_metadata,
    whole_file,
)

STAGE: Final = "video"


def transcode(
    *,
    source: Path,
    target: Path,
    frame_fn: FrameFn | TrackedFrameFn,
    options: TranscodeOptions,
    observer: Observer,
    segment: Segment | None = None,
) -> VideoReport:
    """Write a video with every frame replaced by what ``frame_fn`` makes of it.

    The target appears whole or not at all; an existing one is replaced at the very end.

    Args:
        source: a local file.
        target: path of the result; its suffix names the container.
        frame_fn: called from ``options.workers_count`` threads; all its results must have one
            size, which need not be the source's.
        options: everything that is data.
        observer: gets the stage ``video`` and, if it is a ``FrameObserver``, frame numbers.
        segment: render only the pictures of this part, for ``join_segments``; then
            ``options.output.container`` must be set, and ``options.trim`` is already in the plan.

    Raises:
        PipelineError: see ``probe_video``, ``choose_format`` and ``FrameReader.frames``.
        StoppedError: the observer asked to stop.
    """
    info = probe_video(source, limits=options.limits)
    chosen = choose_format(
        target=target, options=options.output, info=info, is_segment=segment is not None
    )
    rendering = Rendering(
        source=source,
        info=info,
        chosen=chosen,
        options=options,
        frame_fn=frame_fn,
        segment=segment,
    )
    progress = _Progress(observer, frames_total=rendering.expected_frames_count())
    with whole_file(target) as part:
        outcomes = _render(rendering, part, progress)
    observer.progress(STAGE, 1.0)
    return rendering.report(outcomes)


def _render(rendering: Rendering, path: Path, progress: _Progress) -> tuple[StreamOutcome, ...]:
    results = ordered_map(
        rendering.work(),
        make_worker=rendering.make_worker,
        workers_count=rendering.options.workers_count,
        poll=progress.check,
    )
    # Closing ends the threads, also when an error leaves the block.
    with closing(results):
        shown = (result for result in results if result.frame is not None)
        first = next(shown, None)
        if first is None:
            raise UnreadableVideoError("no frame is left at this frame rate")
        with _open_sink(rendering, path, first, progress.check) as sink:
            for result in chain((first,), shown):
                sink.write(result)
                progress.add(len(result.shots))
            return sink.finish()


class _Progress:
    """Measures the run, reports it, and asks whether to go on."""

    def __init__(self, observer: Observer, *, frames_total: int) -> None:
        self._observer = observer
        self._total = frames_total
        self._done = 0
        self._started_at = time.monotonic()

    def check(self) -> None:
        """Leave when the observer wants to stop.

        Raises:
            StoppedError: it does.
        """
        if self._observer.should_stop():
            raise StoppedError(STAGE)

    def add(self, frames_count: int) -> None:
        """Report that so many more frames are written."""
        self._done += frames_count
        # The total may be an estimate; the last step is reported when the file is whole.
        self._observer.progress(STAGE, min(0.99, self._done / max(self._total, self._done, 1)))
        if isinstance(self._observer, FrameObserver):
            elapsed_s = time.monotonic() - self._started_at
            rate = self._done / elapsed_s if elapsed_s > 0 else 0.0
            left = max(0, self._total - self._done)
            self._observer.frames_done(
                VideoProgress(
                    frames_done=self._done,
                    frames_total=max(self._total, self._done),
                    fps=rate,
                    eta_s=left / rate if rate else None,
                )
            )


class _Sink:
    """Encodes the pictures and carries the other streams along."""

    def __init__(
        self, output: OutputContainer, *, encoder: VideoEncoder, carrier: StreamCarrier | None
    ) -> None:
        self._output = output
        self._encoder = encoder
        self._carrier = carrier

    def write(self, rendered: Rendered) -> None:
        assert rendered.frame is not None
        for shot in rendered.shots:
            for packet in self._encoder.encode(rendered.frame, shot):
                if self._carrier is not None and packet.dts is not None:
                    self._carrier.advance(until_s=packet.dts * self._encoder.tick_s)
                self._output.mux(packet)

    def finish(self) -> tuple[StreamOutcome, ...]:
        for packet in self._encoder.flush():
            self._output.mux(packet)
        if self._carrier is None:
            return ()
        self._carrier.advance(until_s=None)
        return self._carrier.outcomes()


@contextmanager
def _open_sink(
    rendering: Rendering, path: Path, first: Rendered, poll: Callable[[], None]
) -> Iterator[_Sink]:
    options, chosen = rendering.options.output, rendering.chosen
    is_segment = rendering.segment is not None
    metadata = {} if is_segment else result_metadata(rendering.source, options=options)
    assert first.frame is not None
    with open_output(
        path, muxer=chosen.muxer, metadata=metadata, tick_s=rendering.clock.tick_s
    ) as output:
        encoder = VideoEncoder(
            output,
            chosen=chosen,
            options=options,
            info=rendering.info,
            clock=rendering.clock,
            size_px=(first.frame.width, first.frame.height),
        )
        if is_segment:
            yield _Sink(output, encoder=encoder, carrier=None)
            return
        carrier = StreamCarrier(
            rendering.source,
            info=rendering.info,
            output=output,
            plan=carry_plan(
                chosen=chosen,
                options=rendering.options,
                clock=rendering.clock,
                info=rendering.info,
            ),
            poll=poll,
        )
        with closing(carrier):
            yield _Sink(output, encoder=encoder, carrier=carrier)
