-- What a row of the journal, a hold and a lot must look like; CHECK constraints call these for each row.
--
-- Functions and not conditions in the constraints, because PostgreSQL parses the stored text of every
-- condition again for each statement that writes a row: a single charge paid more for that than for
-- its rows. A changed rule is a new function under a new constraint, so that old rows are checked too.

-- Accounts and references belong to the kind. EXPIRE and REGRANT name a hold only where one gave the
-- tokens back after their lot had expired.
CREATE FUNCTION tokens_transfer_is_sound(
    p_kind text, p_debit text, p_credit text, p_hold_id uuid, p_line_id bigint, p_reverses_id bigint,
    p_adjustment_id uuid
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE p_kind
        WHEN 'HOLD' THEN p_debit = 'WALLET' AND p_credit = 'HELD' AND p_hold_id IS NOT NULL
        WHEN 'SETTLE' THEN p_debit = 'HELD' AND p_credit = 'CONSUMED' AND p_hold_id IS NOT NULL
        WHEN 'RELEASE' THEN p_debit = 'HELD' AND p_credit = 'WALLET' AND p_hold_id IS NOT NULL
        WHEN 'OVERRUN' THEN p_debit = 'WALLET' AND p_credit = 'CONSUMED' AND p_hold_id IS NOT NULL
        WHEN 'RECHARGE' THEN p_credit = 'WALLET' AND p_hold_id IS NULL
            AND p_debit IN ('ISSUANCE_PAID', 'ISSUANCE_PROMO', 'ISSUANCE_REWARD', 'ISSUANCE_PLAN')
        WHEN 'REVERSE' THEN p_debit = 'WALLET' AND p_hold_id IS NULL
            AND p_credit IN ('ISSUANCE_PAID', 'ISSUANCE_PROMO', 'ISSUANCE_REWARD', 'ISSUANCE_PLAN')
        WHEN 'EXPIRE' THEN p_debit = 'WALLET' AND p_credit = 'BREAKAGE'
        WHEN 'REGRANT' THEN p_debit = 'BREAKAGE' AND p_credit = 'WALLET'
        WHEN 'REFUND' THEN p_debit = 'REFUND' AND p_credit = 'WALLET' AND p_hold_id IS NOT NULL
        WHEN 'CREDIT' THEN p_debit = 'ADJUSTMENT' AND p_credit = 'WALLET' AND p_hold_id IS NULL
        WHEN 'DEBIT' THEN p_debit = 'WALLET' AND p_credit = 'ADJUSTMENT' AND p_hold_id IS NULL
        ELSE false
    END
    AND (p_line_id IS NOT NULL) = (p_kind IN ('RECHARGE', 'REVERSE'))
    AND (p_reverses_id IS NOT NULL) = (p_kind = 'REVERSE')
    AND (p_adjustment_id IS NOT NULL) = (p_kind IN ('CREDIT', 'DEBIT'));
END $$;

-- A hold that waits has settled nothing; one that has ended says when and how much.
CREATE FUNCTION tokens_hold_is_sound(
    p_status text, p_amount bigint, p_settled bigint, p_overrun bigint, p_refunded bigint,
    p_resolved_at timestamptz
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN p_amount > 0 AND p_overrun >= 0 AND p_refunded BETWEEN 0 AND p_settled
       AND (p_resolved_at IS NULL) = (p_status = 'PENDING')
       AND CASE p_status
           WHEN 'SETTLED' THEN p_settled BETWEEN 1 AND p_amount
           WHEN 'PENDING' THEN p_settled = 0
           WHEN 'VOIDED' THEN p_settled = 0
           WHEN 'EXPIRED' THEN p_settled = 0
           ELSE false
       END;
END $$;

-- What is left of a lot lies within what was granted; 0 burns first and 100 last; it starts before it
-- ends.
CREATE FUNCTION tokens_lot_is_sound(
    p_granted bigint, p_available bigint, p_held bigint, p_priority smallint,
    p_effective_at timestamptz, p_expires_at timestamptz
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN p_granted > 0 AND p_available >= 0 AND p_held >= 0 AND p_available + p_held <= p_granted
       AND p_priority BETWEEN 0 AND 100
       AND (p_expires_at IS NULL OR p_expires_at > p_effective_at);
END $$;
