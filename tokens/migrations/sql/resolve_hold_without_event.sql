-- Close a pending hold: the first p_settled tokens, in the order in which they were taken, are
-- spent; the rest goes back to its lots. Settle, void and expiry are this one function, so a worker
-- and a sweep can never both have an effect. Replaces the function of resolve_hold_in_one_update.sql,
-- which wrote an event beside the hold's end and its transfers: a second copy of what they say.
--
-- Whole tables are never read, whatever their size was when a session planned these statements.
--
-- The hold is read without a lock: its end is final and its amount never changes. The UPDATE of the
-- wallet then waits for whoever works on it, and the UPDATE of the hold finds out who was first.
--
-- Tokens that come back to a lot which has expired meanwhile would be lost to the next sweep through
-- no fault of the user: with p_grace they move on into a lot of their own that lives p_grace longer.
--
-- p_due_at: close only if the hold's deadline is not after this moment (NULL: whatever it is).
-- Returns the status that the hold had before: 'PENDING' means that this call closed it, 'NOT_DUE'
-- that its deadline was moved; NULL: there is no such hold.
CREATE OR REPLACE FUNCTION tokens_resolve_hold(
    p_hold_id uuid, p_settled bigint, p_status text, p_due_at timestamptz, p_grace interval
) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    v_hold tokens_hold%ROWTYPE;
    v_status text;
    v_now timestamptz;
    v_part record;
    v_left bigint := p_settled;
    v_spent bigint;
BEGIN
    SELECT * INTO v_hold FROM tokens_hold WHERE id = p_hold_id;
    IF v_hold.id IS NULL THEN
        RETURN NULL;
    END IF;
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
    UPDATE tokens_wallet
       SET available = available + v_hold.amount - p_settled, held = held - v_hold.amount
     WHERE id = v_hold.wallet_id AND held >= v_hold.amount;
    IF NOT FOUND THEN
        -- Another has closed the hold, and the wallet holds less now.
        SELECT status INTO v_status FROM tokens_hold WHERE id = p_hold_id;
        IF v_status = 'PENDING' THEN
            RAISE EXCEPTION 'wallet % holds less than its hold %', v_hold.wallet_id, p_hold_id
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN v_status;
    END IF;
    v_now := clock_timestamp();
    UPDATE tokens_hold SET status = p_status, settled = p_settled, resolved_at = v_now
     WHERE id = p_hold_id AND status = 'PENDING' AND (p_due_at IS NULL OR expires_at <= p_due_at);
    IF NOT FOUND THEN
        -- Another was first while this call waited: nothing may have changed.
        UPDATE tokens_wallet
           SET available = available - v_hold.amount + p_settled, held = held + v_hold.amount
         WHERE id = v_hold.wallet_id;
        SELECT status INTO v_status FROM tokens_hold WHERE id = p_hold_id;
        RETURN CASE v_status WHEN 'PENDING' THEN 'NOT_DUE' ELSE v_status END;
    END IF;
    FOR v_part IN
        SELECT lot_id, amount FROM tokens_transfer
         WHERE hold_id = p_hold_id AND kind = 'HOLD' ORDER BY id
    LOOP
        v_spent := least(v_part.amount, v_left);
        v_left := v_left - v_spent;
        UPDATE tokens_creditlot
           SET held = held - v_part.amount, available = available + v_part.amount - v_spent
         WHERE id = v_part.lot_id;
        IF v_spent > 0 THEN
            INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
            VALUES ('SETTLE', v_hold.wallet_id, v_part.lot_id, 'HELD', 'CONSUMED', v_spent, p_hold_id);
        END IF;
        IF v_spent < v_part.amount THEN
            INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
            VALUES ('RELEASE', v_hold.wallet_id, v_part.lot_id, 'HELD', 'WALLET',
                    v_part.amount - v_spent, p_hold_id);
        END IF;
    END LOOP;
    IF p_grace IS NOT NULL AND p_settled < v_hold.amount THEN
        PERFORM tokens_move_to_grace_lot(p_hold_id, v_hold.wallet_id, v_now, p_grace);
    END IF;
    RETURN 'PENDING';
END $$;
