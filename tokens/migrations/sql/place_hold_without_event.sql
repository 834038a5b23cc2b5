-- Set tokens aside: change the wallet, take from its lots in burn order, write the journal. Replaces
-- the function of place_hold_in_one_update.sql, which wrote an event beside the hold and its
-- transfers: a second copy of what they say.
--
-- One round trip, because every job pays for it. The UPDATE of the wallet's row is also the lock for
-- all of its lots: locking first and changing later would write the row twice. The lots are read by a
-- later statement, so they are seen as they are under the lock.
--
-- Whole tables are never read, whatever their size was when a session planned these statements.
--
-- Returns NULL when the hold was placed, else the tokens that could have been spent; then nothing has
-- changed.
CREATE OR REPLACE FUNCTION tokens_place_hold(
    p_hold_id uuid, p_owner_id bigint, p_amount bigint, p_reference text, p_expires_at timestamptz,
    p_operation text DEFAULT ''
) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    v_wallet_id bigint;
    v_now timestamptz;
    v_spendable bigint;
    v_lot_ids bigint[];
    v_amounts bigint[];
    v_wanted bigint := p_amount;
    v_taken bigint;
BEGIN
    UPDATE tokens_wallet SET available = available - p_amount, held = held + p_amount
     WHERE owner_id = p_owner_id AND status = 'ACTIVE' AND available >= p_amount
    RETURNING id INTO v_wallet_id;
    IF v_wallet_id IS NULL THEN
        v_spendable := tokens_why_no_hold(p_owner_id, p_amount);
        IF v_spendable IS NOT NULL THEN
            RETURN v_spendable;
        END IF;
        -- Enough has come in since, and the wallet is locked now.
        UPDATE tokens_wallet SET available = available - p_amount, held = held + p_amount
         WHERE owner_id = p_owner_id
        RETURNING id INTO STRICT v_wallet_id;
    END IF;
    -- Taken after the wait for the lock: a lot may have expired meanwhile.
    v_now := clock_timestamp();
    SELECT coalesce(sum(available), 0),
           array_agg(id ORDER BY priority, expires_at NULLS LAST, id),
           array_agg(available ORDER BY priority, expires_at NULLS LAST, id)
      INTO v_spendable, v_lot_ids, v_amounts
      FROM tokens_creditlot
     WHERE wallet_id = v_wallet_id AND is_live AND available > 0
       AND effective_at <= v_now AND (expires_at IS NULL OR expires_at > v_now);
    IF v_spendable < p_amount THEN
        -- Some of the wallet's tokens have expired, or start later.
        UPDATE tokens_wallet SET available = available + p_amount, held = held - p_amount
         WHERE id = v_wallet_id;
        RETURN v_spendable;
    END IF;
    INSERT INTO tokens_hold (id, wallet_id, reference, amount, expires_at, operation)
    VALUES (p_hold_id, v_wallet_id, p_reference, p_amount, p_expires_at, p_operation);
    -- Lot by lot and not in one statement: nearly every hold takes from a single lot.
    FOR v_position IN 1 .. cardinality(v_lot_ids) LOOP
        v_taken := least(v_amounts[v_position], v_wanted);
        UPDATE tokens_creditlot SET available = available - v_taken, held = held + v_taken
         WHERE id = v_lot_ids[v_position];
        INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, hold_id)
        VALUES ('HOLD', v_wallet_id, v_lot_ids[v_position], 'WALLET', 'HELD', v_taken, p_hold_id);
        v_wanted := v_wanted - v_taken;
        EXIT WHEN v_wanted = 0;
    END LOOP;
    RETURN NULL;
END $$;
