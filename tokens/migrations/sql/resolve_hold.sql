-- Close a pending hold: the first p_settled tokens, in the order in which they were taken, are
-- spent; the rest goes back to its lots. Settle, void and expiry are this one function, so a worker
-- and a sweep can never both have an effect.
--
-- Tokens that come back to a lot which has expired meanwhile would be lost to the next sweep through
-- no fault of the user: with p_grace they move on into a lot of their own that lives p_grace longer.
--
-- p_due_at: close only if the hold's deadline is not after this moment (NULL: whatever it is).
-- Returns the status that the hold had before: 'PENDING' means that this call closed it, 'NOT_DUE'
-- that its deadline was moved; NULL: there is no such hold.
CREATE FUNCTION tokens_resolve_hold(
    p_hold_id uuid, p_settled bigint, p_status text, p_due_at timestamptz, p_grace interval
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_wallet_id bigint;
    v_hold tokens_hold%ROWTYPE;
    v_now timestamptz;
BEGIN
    SELECT wallet_id INTO v_wallet_id FROM tokens_hold WHERE id = p_hold_id;
    IF v_wallet_id IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM 1 FROM tokens_wallet WHERE id = v_wallet_id FOR NO KEY UPDATE;
    SELECT * INTO v_hold FROM tokens_hold WHERE id = p_hold_id FOR NO KEY UPDATE;
    IF v_hold.status <> 'PENDING' THEN
        RETURN v_hold.status;
    END IF;
    IF v_hold.expires_at > p_due_at THEN
        RETURN 'NOT_DUE';
    END IF;
    IF p_settled NOT BETWEEN 0 AND v_hold.amount THEN
        RAISE EXCEPTION 'a hold of % tokens cannot settle %', v_hold.amount, p_settled
            USING ERRCODE = 'check_violation';
    END IF;
    v_now := clock_timestamp();
    WITH allocated AS (
        SELECT id, lot_id, amount, sum(amount) OVER (ORDER BY id) - amount AS before
          FROM tokens_transfer WHERE hold_id = p_hold_id AND kind = 'HOLD'
    ), split AS (
        SELECT id, lot_id, amount, greatest(0, least(amount, p_settled - before)) AS settled
          FROM allocated
    ), returned AS (
        UPDATE tokens_creditlot lot
           SET held = lot.held - split.amount,
               available = lot.available + split.amount - split.settled
          FROM split WHERE lot.id = split.lot_id
    )
    INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
    SELECT movement.kind, v_wallet_id, split.lot_id, 'HELD', movement.credit, movement.amount,
           p_hold_id
      FROM split
     CROSS JOIN LATERAL (VALUES
           (1, 'SETTLE', 'CONSUMED', split.settled),
           (2, 'RELEASE', 'WALLET', split.amount - split.settled)
     ) AS movement(position, kind, credit, amount)
     WHERE movement.amount > 0
     ORDER BY movement.position, split.id;
    UPDATE tokens_wallet
       SET available = available + v_hold.amount - p_settled, held = held - v_hold.amount
     WHERE id = v_wallet_id;
    UPDATE tokens_hold SET status = p_status, settled = p_settled, resolved_at = v_now
     WHERE id = p_hold_id;
    INSERT INTO tokens_holdevent (hold_id, kind, tokens)
    VALUES (p_hold_id, p_status, CASE p_status WHEN 'SETTLED' THEN p_settled ELSE v_hold.amount END);
    IF p_grace IS NOT NULL AND p_settled < v_hold.amount THEN
        PERFORM tokens_move_to_grace_lot(p_hold_id, v_wallet_id, v_now, p_grace);
    END IF;
    RETURN 'PENDING';
END $$;

-- Move what a hold released into lots that have expired on into one lot with p_grace to live. The
-- caller holds the wallet's lock.
CREATE FUNCTION tokens_move_to_grace_lot(
    p_hold_id uuid, p_wallet_id bigint, p_now timestamptz, p_grace interval
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_late bigint;
    v_lot_id bigint;
BEGIN
    SELECT sum(t.amount) INTO v_late
      FROM tokens_transfer t JOIN tokens_creditlot lot ON lot.id = t.lot_id
     WHERE t.hold_id = p_hold_id AND t.kind = 'RELEASE' AND lot.expires_at <= p_now;
    IF v_late IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
    SELECT 'EXPIRE', p_wallet_id, t.lot_id, 'WALLET', 'BREAKAGE', t.amount, p_hold_id
      FROM tokens_transfer t JOIN tokens_creditlot lot ON lot.id = t.lot_id
     WHERE t.hold_id = p_hold_id AND t.kind = 'RELEASE' AND lot.expires_at <= p_now
     ORDER BY t.id;
    UPDATE tokens_creditlot lot SET available = lot.available - t.amount
      FROM tokens_transfer t
     WHERE t.hold_id = p_hold_id AND t.kind = 'EXPIRE' AND lot.id = t.lot_id;
    INSERT INTO tokens_creditlot (wallet_id, category, granted, available, priority, expires_at)
    VALUES (p_wallet_id, 'REFUND', v_late, v_late, 0, p_now + p_grace)
    RETURNING id INTO v_lot_id;
    INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
    VALUES ('REGRANT', p_wallet_id, v_lot_id, 'BREAKAGE', 'WALLET', v_late, p_hold_id);
END $$;
