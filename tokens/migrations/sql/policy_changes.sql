-- The number of the transaction that applied a change. The policy itself may change in that one
-- only, so a decision of the past cannot be used twice.
ALTER TABLE tokens_policychange ADD COLUMN applied_xid xid8;

-- A change is proposed by an administrator, then decided once, by another one or by the clock.
CREATE FUNCTION tokens_check_policy_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decision text[] := ARRAY['status', 'decided_at', 'checker_id', 'checker_factor_at', 'comment',
                             'applied_xid'];
    fault text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        fault := CASE
            WHEN NOT EXISTS (SELECT 1 FROM accounts_user
                              WHERE id = NEW.maker_id AND is_active AND role = 'ADMIN')
              THEN 'the maker is no administrator'
            WHEN NEW.status <> 'OPEN' AND (
                   NEW.status <> 'APPLIED' OR NOT NEW.is_bootstrap
                   OR EXISTS (SELECT 1 FROM tokens_approvalpolicy))
              THEN 'only the first policy is applied at once'
        END;
    ELSE
        fault := CASE
            WHEN TG_OP = 'DELETE' THEN 'changes are kept'
            WHEN OLD.status <> 'OPEN' THEN 'it is decided'
            WHEN to_jsonb(OLD) - decision <> to_jsonb(NEW) - decision
              THEN 'what was proposed does not change'
            WHEN NEW.status IN ('APPLIED', 'REJECTED') AND (
                   NEW.checker_id IS NOT DISTINCT FROM NEW.maker_id
                   OR NOT EXISTS (SELECT 1 FROM accounts_user
                                   WHERE id = NEW.checker_id AND is_active AND role = 'ADMIN'))
              THEN 'another administrator decides'
            WHEN NEW.status IN ('APPLIED', 'REJECTED') AND OLD.expires_at <= clock_timestamp()
              THEN 'it has expired'
            WHEN NEW.status = 'EXPIRED' AND OLD.expires_at > clock_timestamp()
              THEN 'it has time left'
        END;
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'policy change refused: %', fault
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.applied_xid := CASE WHEN NEW.status = 'APPLIED' THEN pg_current_xact_id() END;
    RETURN NEW;
END $$;
CREATE TRIGGER tokens_policychange_checked
    BEFORE INSERT OR UPDATE OR DELETE ON tokens_policychange
    FOR EACH ROW EXECUTE FUNCTION tokens_check_policy_change();

-- A policy becomes what the change says that this transaction applies, and nothing else. The first
-- one of all needs no second person: without it nothing would wait at all.
CREATE FUNCTION tokens_check_policy() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unwritten text[] := ARRAY['id', 'created_at', 'updated_at'];
BEGIN
    IF TG_OP = 'INSERT' AND NOT EXISTS (SELECT 1 FROM tokens_approvalpolicy) THEN
        RETURN NEW;
    END IF;
    IF TG_OP <> 'DELETE' AND EXISTS (
        SELECT 1 FROM tokens_policychange
         WHERE policy_id = NEW.id AND status = 'APPLIED' AND applied_xid = pg_current_xact_id()
           AND before IS NOT DISTINCT FROM
               CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) - unwritten END
           AND after = to_jsonb(NEW) - unwritten) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a policy changes by an approved policy change only'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER tokens_approvalpolicy_decided
    BEFORE INSERT OR UPDATE OR DELETE ON tokens_approvalpolicy
    FOR EACH ROW EXECUTE FUNCTION tokens_check_policy();
