-- A claim that could be changed or deleted would let a day be granted twice.
CREATE TRIGGER tokens_scheduledgrant_immutable
    BEFORE UPDATE OR DELETE ON tokens_scheduledgrant
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
