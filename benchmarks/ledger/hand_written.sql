-- The same rows as a recharge through the service, by hand: one user and amount per line of standard
-- input. Rows are written in the order of the wallets, as the service does. What the service does
-- beside it is left out: staging, judging, the batch, the locks, audit events, the key.
-- Prints the seconds from before the rows arrive until after the commit.
\set ON_ERROR_STOP on
\set QUIET on
SELECT clock_timestamp() AS started, gen_random_uuid() AS batch \gset
BEGIN;
CREATE TEMPORARY TABLE input (row_no integer, user_ref text, amount bigint) ON COMMIT DROP;
\copy input FROM pstdin CSV
ANALYZE input;
CREATE TEMPORARY TABLE grants ON COMMIT DROP AS
SELECT input.*, w.id AS wallet_id, nextval('tokens_rechargeline_id_seq') AS line_id,
       nextval('tokens_creditlot_id_seq') AS lot_id
  FROM input JOIN accounts_user u USING (user_ref) JOIN tokens_wallet w ON w.owner_id = u.id
 ORDER BY w.id;
INSERT INTO tokens_rechargeline
       (id, batch_id, row_no, user_ref, amount, category, priority, outcome, wallet_id, lot_id)
SELECT line_id, :'batch', row_no, user_ref, amount, 'PAID', 50, 'applied', wallet_id, lot_id
  FROM grants;
INSERT INTO tokens_creditlot (id, wallet_id, category, granted, available)
SELECT lot_id, wallet_id, 'PAID', amount, amount FROM grants;
INSERT INTO tokens_transfer (kind, wallet_id, lot_id, debit, credit, amount, recharge_line_id)
SELECT 'RECHARGE', wallet_id, lot_id, 'ISSUANCE_PAID', 'WALLET', amount, line_id FROM grants;
UPDATE tokens_wallet w SET available = w.available + g.amount FROM grants g WHERE w.id = g.wallet_id;
COMMIT;
SELECT extract(epoch FROM clock_timestamp() - :'started');
