-- Give back tokens that a settled hold has spent, last spent first, to the lots they came from; to a
-- lot with p_grace to live where the old one has expired. At most once per hold.
--
-- Returns NULL when the refund was made, else why not: 'NOT_FOUND', 'NOT_SETTLED', 'REFUNDED',
-- 'TOO_MUCH'.
CREATE FUNCTION tokens_refund_hold(
    p_hold_id uuid, p_amount bigint, p_grace interval, p_note text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_wallet_id bigint;
    v_hold tokens_hold%ROWTYPE;
    v_now timestamptz;
    v_late bigint;
    v_lot_id bigint;
BEGIN
    SELECT wallet_id INTO v_wallet_id FROM tokens_hold WHERE id = p_hold_id;
    IF v_wallet_id IS NULL THEN
        RETURN 'NOT_FOUND';
    END IF;
    PERFORM 1 FROM tokens_wallet WHERE id = v_wallet_id FOR NO KEY UPDATE;
    SELECT * INTO v_hold FROM tokens_hold WHERE id = p_hold_id FOR NO KEY UPDATE;
    IF v_hold.status <> 'SETTLED' THEN
        RETURN 'NOT_SETTLED';
    ELSIF v_hold.refunded > 0 THEN
        RETURN 'REFUNDED';
    ELSIF p_amount NOT BETWEEN 1 AND v_hold.settled THEN
        RETURN 'TOO_MUCH';
    END IF;
    v_now := clock_timestamp();
    WITH spent AS (
        SELECT t.id, t.lot_id, t.amount, lot.expires_at <= v_now AS is_late,
               sum(t.amount) OVER (ORDER BY t.id DESC) - t.amount AS before
          FROM tokens_transfer t JOIN tokens_creditlot lot ON lot.id = t.lot_id
         WHERE t.hold_id = p_hold_id AND t.kind = 'SETTLE'
    ), due AS (
        SELECT id, lot_id, is_late, least(amount, p_amount - before) AS amount
          FROM spent WHERE before < p_amount
    ), returned AS (
        UPDATE tokens_creditlot lot SET available = lot.available + due.amount
          FROM due WHERE lot.id = due.lot_id AND due.is_late IS NOT TRUE
    ), journal AS (
        INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
        SELECT 'REFUND', v_wallet_id, lot_id, 'REFUND', 'WALLET', amount, p_hold_id
          FROM due WHERE is_late IS NOT TRUE ORDER BY id DESC
    )
    SELECT sum(amount) FILTER (WHERE is_late) INTO v_late FROM due;
    IF v_late IS NOT NULL THEN
        INSERT INTO tokens_creditlot (wallet_id, category, granted, available, priority, expires_at)
        VALUES (v_wallet_id, 'REFUND', v_late, v_late, 0, v_now + p_grace)
        RETURNING id INTO v_lot_id;
        INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
        VALUES ('REFUND', v_wallet_id, v_lot_id, 'REFUND', 'WALLET', v_late, p_hold_id);
    END IF;
    UPDATE tokens_wallet SET available = available + p_amount WHERE id = v_wallet_id;
    UPDATE tokens_hold SET refunded = p_amount WHERE id = p_hold_id;
    INSERT INTO tokens_holdevent (hold_id, kind, tokens, note)
    VALUES (p_hold_id, 'REFUNDED', p_amount, p_note);
    RETURN NULL;
END $$;
