-- The number of the transaction that wrote a row. A seal takes only rows of transactions that had
-- all ended, so a row that commits late is sealed by a later block instead of being skipped.
ALTER TABLE tokens_transfer
    ADD COLUMN recorded_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX tokens_transfer_recorded_xid ON tokens_transfer (recorded_xid);
ALTER TABLE tokens_auditevent
    ADD COLUMN recorded_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX tokens_auditevent_recorded_xid ON tokens_auditevent (recorded_xid);

-- Reports read whole days. The journal is written in the order of time, so block ranges suffice and
-- cost the writers next to nothing.
CREATE INDEX tokens_transfer_recorded_at ON tokens_transfer
 USING brin (recorded_at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX tokens_transfer_effective_at ON tokens_transfer
 USING brin (effective_at) WITH (pages_per_range = 16, autosummarize = on);

CREATE TRIGGER tokens_auditevent_immutable
    BEFORE UPDATE OR DELETE ON tokens_auditevent
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_sealblock_immutable
    BEFORE UPDATE OR DELETE ON tokens_sealblock
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_sealmember_immutable
    BEFORE UPDATE OR DELETE ON tokens_sealmember
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_sealedevent_immutable
    BEFORE UPDATE OR DELETE ON tokens_sealedevent
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_snapshotday_immutable
    BEFORE UPDATE OR DELETE ON tokens_snapshotday
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_balancesnapshot_immutable
    BEFORE UPDATE OR DELETE ON tokens_balancesnapshot
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_reconrun_immutable
    BEFORE UPDATE OR DELETE ON tokens_reconrun
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
