"""Invariants of approvals: who agreed to what before it moved money."""

from __future__ import annotations

from tokens.audit.types import Invariant

APPROVALS = (
    Invariant(
        "I17",
        "approved_request_has_its_quorum",
        """
        SELECT r.id
          FROM tokens_approvalrequest r
          LEFT JOIN (
               SELECT v.request_id,
                      count(DISTINCT v.voter_id) FILTER (
                          WHERE v.decision = 'APPROVE' AND v.voted_at <= q.decided_at) AS yes,
                      count(*) FILTER (WHERE v.decision = 'REJECT') AS no
                 FROM tokens_approvalvote v JOIN tokens_approvalrequest q ON q.id = v.request_id
                GROUP BY v.request_id
          ) votes ON votes.request_id = r.id
         WHERE r.status = 'APPROVED'
           AND (coalesce(votes.yes, 0) < r.approvals_required OR coalesce(votes.no, 0) > 0)
        """,
    ),
    Invariant(
        "I17",
        "vote_is_by_another_on_the_same_content",
        """
        SELECT v.id
          FROM tokens_approvalvote v
          JOIN tokens_approvalrequest r ON r.id = v.request_id
          JOIN tokens_rechargebatch b ON b.id = r.batch_id
         WHERE v.voter_id IN (r.maker_id, b.actor_id) OR v.content_sha256 <> r.content_sha256
        """,
    ),
    Invariant(
        "I17",
        "vote_of_a_person_has_a_second_factor",
        """
        SELECT v.id
          FROM tokens_approvalvote v
          JOIN tokens_approvalrequest r ON r.id = v.request_id
         WHERE v.decision <> 'ASK' AND v.second_factor_at IS NULL AND NOT r.is_open_to_keys
        """,
    ),
    Invariant(
        "I19",
        "no_request_is_open_an_hour_past_its_deadline",
        """
        SELECT id FROM tokens_approvalrequest
         WHERE status = 'OPEN' AND expires_at < now() - interval '1 hour'
        """,
    ),
    Invariant(
        "I17",
        "batch_moved_only_what_was_approved",
        """
        SELECT b.id
          FROM tokens_rechargebatch b
          LEFT JOIN tokens_approvalassessment a ON a.batch_id = b.id
          LEFT JOIN tokens_approvalrequest r ON r.batch_id = b.id
         WHERE (coalesce(a.is_approval_required, false) AND r.id IS NULL)
            OR r.content_sha256 <> b.content_sha256
            OR (r.status <> 'APPROVED' AND (b.applied_count > 0 OR b.status NOT IN (
                'PENDING_APPROVAL', 'REJECTED', 'APPROVAL_EXPIRED', 'STOPPED')))
        """,
    ),
    Invariant(
        "I17",
        "answer_is_by_the_maker_to_a_question",
        """
        SELECT a.question_id
          FROM tokens_approvalanswer a
          LEFT JOIN tokens_approvalvote v ON v.id = a.question_id
          LEFT JOIN tokens_approvalrequest r ON r.id = v.request_id
         WHERE v.decision IS DISTINCT FROM 'ASK' OR a.author_id IS DISTINCT FROM r.maker_id
        """,
    ),
    Invariant(
        "I21",
        "policy_change_is_decided_by_two_people",
        """
        SELECT id FROM tokens_policychange
         WHERE status IN ('APPLIED', 'REJECTED') AND NOT is_bootstrap
           AND (checker_id IS NULL OR checker_id = maker_id OR checker_factor_at IS NULL)
         UNION ALL
        -- The first change of all may be a bootstrap, and no other.
        SELECT c.id FROM tokens_policychange c
         WHERE c.is_bootstrap AND EXISTS (
               SELECT 1 FROM tokens_policychange earlier
                WHERE earlier.status = 'APPLIED' AND earlier.decided_at < c.decided_at)
        """,
    ),
    Invariant(
        "I21",
        "policy_is_what_its_last_change_says",
        """
        SELECT p.id
          FROM tokens_approvalpolicy p
         CROSS JOIN LATERAL (
               SELECT after FROM tokens_policychange
                WHERE policy_id = p.id AND status = 'APPLIED'
                ORDER BY decided_at DESC LIMIT 1
         ) last
         WHERE last.after <> to_jsonb(p) - ARRAY['id', 'created_at', 'updated_at']
        """,
    ),
    Invariant(
        "I19",
        "no_policy_change_is_open_an_hour_past_its_deadline",
        """
        SELECT id FROM tokens_policychange
         WHERE status = 'OPEN' AND expires_at < now() - interval '1 hour'
        """,
    ),
    Invariant(
        "I17",
        "unfinished_batch_keeps_its_staged_rows",
        """
        SELECT b.id
          FROM tokens_rechargebatch b JOIN tokens_rechargechunk c ON c.batch_id = b.id
         WHERE b.finished_at IS NULL
         GROUP BY b.id, b.lines_count
        HAVING sum(c.rows_count) <> b.lines_count
        """,
    ),
)
