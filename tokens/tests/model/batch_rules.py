"""What may happen to recharges in a random history."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tokens import services
from tokens.tests.model.batches import ENDED, RETRYABLE, Batch, reversal_rows
from tokens.tests.model.bench import PEOPLE, PICKS, SOMEBODY, Bench, Sent, pick_from
from tokens.tests.model.compare import same
from tokens.tests.model.drafts import DRAFTS, MODES, TERMS, model_rows, request_items
from tokens.tests.recharges import order, source
from tokens.types import RechargeMode, ReversalOrder, ReversalPolicy

OTHER_MODE = {"atomic": "soft_fail", "soft_fail": "atomic"}
ROWS = st.lists(DRAFTS, min_size=1, max_size=PEOPLE)
SOMETIMES = st.sampled_from([False, False, False, True])
# Which lines to reverse; most often all that were applied.
ROW_NOS = st.sampled_from([None, None, (1, 3), (2,), (1, 2, 3, 4), (9,)])


class BatchRules(Bench):
    """Recharge, preview, repeat, retry, reverse, work on, pause, resume, stop."""

    @rule(drafts=ROWS, first=SOMEBODY, mode=MODES, terms=TERMS, is_preview=SOMETIMES)
    def recharge(self, drafts, first, mode, terms, is_preview):
        refs = [person.ref for person in self.people]
        rows = model_rows(drafts, refs=refs, first=first, terms=terms, now=self.now)
        if not is_preview:
            self._recharge(rows, mode=mode)
            return
        self._preview(
            "preview",
            lambda: Batch(mode, rows),
            lambda: services.preview(
                order=order(mode), rows=source(request_items(rows, clock=self.clock))
            ),
        )

    @rule(pick=PICKS, is_other_body=SOMETIMES)
    def repeat(self, pick, is_other_body):
        sent = pick_from(self.sent, pick)
        mode = OTHER_MODE[sent.mode] if is_other_body else sent.mode
        self._send("repeat", sent, mode=mode)

    @rule(pick=PICKS, mode=MODES)
    def retry(self, pick, mode):
        batch = self._batch(pick, lambda batch: batch.status in RETRYABLE)
        key = f"key {len(self.sent)}"
        self._send(
            "retry",
            Sent(
                mode,
                lambda mode: self.recharges.retry(batch=batch, key=key, mode=mode),
                lambda mode: services.retry_failures(
                    batch_id=batch.id,
                    actor_id=self.operator.pk,
                    idempotency_key=key,
                    mode=RechargeMode(mode),
                ),
            ),
        )

    @rule(
        pick=PICKS,
        mode=MODES,
        policy=st.sampled_from(ReversalPolicy),
        row_nos=ROW_NOS,
        is_preview=SOMETIMES,
    )
    def reverse(self, pick, mode, policy, row_nos, is_preview):
        batch = self._batch(pick, _is_reversible)
        takes_unused_part = policy is ReversalPolicy.UNUSED_PART
        if is_preview:
            self._preview(
                "preview reversal",
                lambda: Batch(
                    mode,
                    reversal_rows(batch, row_nos),
                    takes_unused_part=takes_unused_part,
                    reverses=batch,
                ),
                lambda: services.preview_reversal(
                    batch_id=batch.id, order=_reversal(mode, policy, row_nos)
                ),
            )
            return
        key = f"key {len(self.sent)}"
        self._send(
            "reverse",
            Sent(
                mode,
                lambda mode: self.recharges.reverse(
                    batch=batch,
                    key=key,
                    mode=mode,
                    takes_unused_part=takes_unused_part,
                    row_nos=row_nos,
                ),
                lambda mode: services.reverse_batch(
                    batch_id=batch.id,
                    order=_reversal(mode, policy, row_nos),
                    actor_id=self.operator.pk,
                    idempotency_key=key,
                ),
            ),
        )

    @rule(pick=PICKS, step=st.sampled_from(["work", "stop", "pause", "resume", "work"]))
    def attend(self, pick, step):
        batch = self._batch(pick, lambda batch: batch.status not in ENDED)
        if step == "work":
            self._work(batch)
        else:
            self._steer(step, batch)

    def _batch(self, pick, is_fit):
        """Most often one that is fit for what is to come."""
        batches = self.recharges.batches
        fit = list(filter(is_fit, batches))
        return pick_from(fit if fit and pick else batches[-2:], pick)

    def _preview(self, name, batch, actual):
        answers = self._both(name, expected=lambda: self.recharges.preview(batch()), actual=actual)
        if answers is not None:
            (status, codes), seen = answers
            same(name, (seen.status, seen.outcomes), (status.lower(), dict(codes)))
            same(name, seen.applied_count, codes["applied"])


def _is_reversible(batch: Batch) -> bool:
    return batch.status in ENDED and batch.reverses is None and bool(batch.applied)


def _reversal(mode, policy, row_nos):
    return ReversalOrder(
        mode=RechargeMode(mode), policy=policy, reason="model", operator="model", row_nos=row_nos
    )
