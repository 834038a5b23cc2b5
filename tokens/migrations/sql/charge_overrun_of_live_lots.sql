-- Charge work that cost more than was held, as far as the wallet's spendable tokens go. The caller
-- has just settled the hold in the same transaction and so holds the wallet's lock.
--
-- Replaces the function of charge_overrun.sql: it meets the lots by the index of those that have tokens.
--
-- Returns what was charged.
CREATE OR REPLACE FUNCTION tokens_charge_overrun(p_hold_id uuid, p_amount bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_wallet_id bigint;
    v_now timestamptz := clock_timestamp();
    v_charged bigint;
BEGIN
    SELECT wallet_id INTO STRICT v_wallet_id FROM tokens_hold WHERE id = p_hold_id;
    WITH ranked AS (
        SELECT id, available,
               sum(available) OVER burn - available AS before,
               row_number() OVER burn AS position
          FROM tokens_creditlot
         WHERE wallet_id = v_wallet_id AND is_live AND available > 0
           AND effective_at <= v_now AND (expires_at IS NULL OR expires_at > v_now)
        WINDOW burn AS (ORDER BY priority, expires_at NULLS LAST, id)
    ), taken AS (
        SELECT id, position, least(available, p_amount - before) AS amount
          FROM ranked WHERE before < p_amount
    ), drawn AS (
        UPDATE tokens_creditlot lot SET available = lot.available - taken.amount
          FROM taken WHERE lot.id = taken.id
    ), journal AS (
        INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
        SELECT 'OVERRUN', v_wallet_id, id, 'WALLET', 'CONSUMED', amount, p_hold_id
          FROM taken ORDER BY position
    )
    SELECT coalesce(sum(amount), 0) INTO v_charged FROM taken;
    UPDATE tokens_wallet SET available = available - v_charged WHERE id = v_wallet_id;
    UPDATE tokens_hold SET overrun = v_charged WHERE id = p_hold_id;
    INSERT INTO tokens_holdevent (hold_id, kind, tokens, note)
    VALUES (p_hold_id, 'OVERRUN', v_charged, 'written off: ' || (p_amount - v_charged));
    RETURN v_charged;
END $$;
