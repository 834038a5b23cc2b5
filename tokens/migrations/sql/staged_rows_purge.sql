-- Staged rows may go when they are of no use any more: the batch ended a week ago or more, the
-- chunk is done, and each of its rows has its line, which stays as the record.
CREATE FUNCTION tokens_keep_staged_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'DONE' AND EXISTS (
           SELECT 1 FROM tokens_rechargebatch
            WHERE id = OLD.batch_id
              AND status IN ('APPLIED', 'PARTIALLY_APPLIED', 'FAILED', 'STOPPED', 'REJECTED',
                             'APPROVAL_EXPIRED')
              AND finished_at <= clock_timestamp() - interval '7 days')
       AND OLD.rows_count = (
           SELECT count(*) FROM tokens_rechargeline
            WHERE batch_id = OLD.batch_id AND row_no >= OLD.first_row
              AND row_no < OLD.first_row + OLD.rows_count) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'staged rows are kept until their batch has ended for a week'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
DROP TRIGGER tokens_rechargechunk_kept ON tokens_rechargechunk;
CREATE TRIGGER tokens_rechargechunk_kept BEFORE DELETE ON tokens_rechargechunk
    FOR EACH ROW EXECUTE FUNCTION tokens_keep_staged_rows();
