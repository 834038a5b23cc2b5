-- Set tokens aside: lock the wallet, take from its lots in burn order, write the journal.
--
-- One round trip, because every job pays for it. The wallet's row is the lock for all of its lots;
-- the lots are read by a later statement, so they are seen as they are under the lock.
--
-- Returns NULL when the hold was placed, else the tokens that could have been spent; then nothing
-- is written.
CREATE FUNCTION tokens_place_hold(
    p_hold_id uuid, p_owner_id bigint, p_amount bigint, p_reference text, p_expires_at timestamptz,
    p_operation text DEFAULT ''
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_wallet_id bigint;
    v_status text;
    v_now timestamptz;
    v_spendable bigint;
BEGIN
    SELECT id, status INTO v_wallet_id, v_status
      FROM tokens_wallet WHERE owner_id = p_owner_id FOR NO KEY UPDATE;
    IF v_wallet_id IS NULL THEN
        RETURN 0;
    END IF;
    IF v_status <> 'ACTIVE' THEN
        RAISE EXCEPTION 'wallet of owner % is %', p_owner_id, v_status USING ERRCODE = 'TK001';
    END IF;
    -- Taken after the wait for the lock: a lot may have expired meanwhile.
    v_now := clock_timestamp();
    SELECT coalesce(sum(available), 0) INTO v_spendable
      FROM tokens_creditlot
     WHERE wallet_id = v_wallet_id AND available > 0
       AND effective_at <= v_now AND (expires_at IS NULL OR expires_at > v_now);
    IF v_spendable < p_amount THEN
        RETURN v_spendable;
    END IF;
    INSERT INTO tokens_hold (id, wallet_id, reference, amount, expires_at, operation)
    VALUES (p_hold_id, v_wallet_id, p_reference, p_amount, p_expires_at, p_operation);
    WITH ranked AS (
        SELECT id, available,
               sum(available) OVER burn - available AS before,
               row_number() OVER burn AS position
          FROM tokens_creditlot
         WHERE wallet_id = v_wallet_id AND available > 0
           AND effective_at <= v_now AND (expires_at IS NULL OR expires_at > v_now)
        WINDOW burn AS (ORDER BY priority, expires_at NULLS LAST, id)
    ), taken AS (
        SELECT id, position, least(available, p_amount - before) AS amount
          FROM ranked WHERE before < p_amount
    ), drawn AS (
        UPDATE tokens_creditlot lot
           SET available = lot.available - taken.amount, held = lot.held + taken.amount
          FROM taken WHERE lot.id = taken.id
    )
    INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
    SELECT 'HOLD', v_wallet_id, id, 'WALLET', 'HELD', amount, p_hold_id
      FROM taken ORDER BY position;
    UPDATE tokens_wallet SET available = available - p_amount, held = held + p_amount
     WHERE id = v_wallet_id;
    INSERT INTO tokens_holdevent (hold_id, kind, tokens) VALUES (p_hold_id, 'PLACED', p_amount);
    RETURN NULL;
END $$;
