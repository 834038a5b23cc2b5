-- What the grant of one claimed period has left unused: what its lot gave to breakage, or will at
-- the next sweep. Tokens that a job gave back after the end of the lot do not count: they went on
-- into a lot of their own. A failed line that was granted by a retry counts like any other.
--
-- One account at a time, by indexes; run inside statements over whole tables that must not loop.
CREATE FUNCTION tokens_left_over(
    of_rule text, of_owner bigint, of_period date, at_moment timestamptz
) RETURNS bigint LANGUAGE plpgsql STABLE
SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    left_over bigint;
BEGIN
    SELECT coalesce(sum(
               CASE WHEN lot.expires_at <= at_moment THEN lot.available ELSE 0 END
               + (SELECT coalesce(sum(e.amount), 0) FROM tokens_transfer e
                   WHERE e.wallet_id = t.wallet_id AND e.lot_id = t.lot_id
                     AND e.kind = 'EXPIRE' AND e.hold_id IS NULL)
           ), 0)
      INTO left_over
      FROM tokens_scheduledgrant g
      JOIN tokens_wallet w ON w.owner_id = g.owner_id
      JOIN tokens_transfer t ON t.wallet_id = w.id AND t.kind = 'RECHARGE'
      JOIN tokens_rechargeline l ON l.id = t.recharge_line_id
      JOIN tokens_rechargebatch b ON b.id = l.batch_id
                                 AND (b.id = g.batch_id OR b.parent_id = g.batch_id)
      JOIN tokens_creditlot lot ON lot.id = t.lot_id
     WHERE g.rule = of_rule AND g.owner_id = of_owner AND g.period = of_period;
    RETURN left_over;
END $$;
