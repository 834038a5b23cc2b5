-- History is written once, whoever asks: a correction is another row.
CREATE FUNCTION tokens_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are immutable: correct them with new ones', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER tokens_transfer_immutable
    BEFORE UPDATE OR DELETE ON tokens_transfer
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_rechargeline_immutable
    BEFORE UPDATE OR DELETE ON tokens_rechargeline
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_holdevent_immutable
    BEFORE UPDATE OR DELETE ON tokens_holdevent
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
