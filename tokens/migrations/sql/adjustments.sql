CREATE TRIGGER tokens_adjustment_immutable
    BEFORE UPDATE OR DELETE ON tokens_adjustment
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
-- Closing is final. Balances are written by statements that do not name the status, so they pay
-- nothing for this.
CREATE TRIGGER tokens_wallet_closed_for_good
    BEFORE UPDATE OF status ON tokens_wallet
    FOR EACH ROW WHEN (OLD.status = 'CLOSED' AND NEW.status <> 'CLOSED')
    EXECUTE FUNCTION tokens_refuse_change();
