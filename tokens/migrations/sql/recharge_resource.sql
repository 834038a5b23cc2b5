-- The hot tables have no foreign keys to wallets, lots, holds, lines and batches: checking each new row
-- against its parents costs time in a bulk recharge, and puts a key-share lock on every
-- wallet. The children name parents that the same transaction has just written or locked; what a
-- foreign key would add is that no parent goes away, and that is refused here.
CREATE TRIGGER tokens_wallet_kept BEFORE DELETE ON tokens_wallet
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_hold_kept BEFORE DELETE ON tokens_hold
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_creditlot_kept BEFORE DELETE ON tokens_creditlot
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_rechargebatch_kept BEFORE DELETE ON tokens_rechargebatch
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
-- What was approved is what will be applied: of a staged chunk only the state may change.
CREATE TRIGGER tokens_rechargechunk_kept BEFORE DELETE ON tokens_rechargechunk
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_rechargechunk_immutable
    BEFORE UPDATE OF batch_id, seq, first_row, rows_count, payload ON tokens_rechargechunk
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
-- Room on each page for the next version of a row, so that a change of a balance touches no index.
ALTER TABLE tokens_wallet SET (fillfactor = 60);
