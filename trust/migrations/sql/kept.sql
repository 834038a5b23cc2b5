-- Who vouched for what, and what was erased, is written once, whoever asks.
CREATE FUNCTION trust_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are kept as they are', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- A consent is revoked once, and enforced once after that; nothing else of it ever changes.
CREATE FUNCTION trust_consent_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    expected trust_consent;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'consents are revoked, not deleted'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    expected := OLD;
    IF OLD.revoked_at IS NULL THEN
        expected.revoked_at := NEW.revoked_at;
        expected.revoked_by_id := NEW.revoked_by_id;
    END IF;
    IF OLD.enforced_at IS NULL THEN
        expected.enforced_at := NEW.enforced_at;
    END IF;
    IF NEW IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'a consent does not change: revoke it and attest another one'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trust_consent_kept
    BEFORE UPDATE OR DELETE ON trust_consent
    FOR EACH ROW EXECUTE FUNCTION trust_consent_kept();

-- Which uploads a consent names stays; only the digest of what was purged is filled in, once.
CREATE FUNCTION trust_consentasset_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.sha256 <> ''
        OR NEW.consent_id <> OLD.consent_id OR NEW.asset_id <> OLD.asset_id THEN
        RAISE EXCEPTION 'what a consent names does not change'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER trust_consentasset_kept
    BEFORE UPDATE OR DELETE ON trust_consentasset
    FOR EACH ROW EXECUTE FUNCTION trust_consentasset_kept();

CREATE TRIGGER trust_erasurereceipt_immutable
    BEFORE UPDATE OR DELETE ON trust_erasurereceipt
    FOR EACH ROW EXECUTE FUNCTION trust_refuse_change();
CREATE TRIGGER trust_blockedhash_stays
    BEFORE DELETE ON trust_blockedhash
    FOR EACH ROW EXECUTE FUNCTION trust_refuse_change();
CREATE TRIGGER trust_takedown_stays
    BEFORE DELETE ON trust_takedown
    FOR EACH ROW EXECUTE FUNCTION trust_refuse_change();
