-- A card is proposed by one person of the staff, then decided once by another; what it says stays.
CREATE FUNCTION tokens_check_rate_card() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decision text[] := ARRAY['status', 'decided_at', 'checker_id', 'checker_factor_at', 'comment',
                             'effective_at', 'shadow_percent'];
    fault text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        fault := CASE
            WHEN NOT EXISTS (SELECT 1 FROM accounts_user
                              WHERE id = NEW.maker_id AND is_active AND is_staff)
              THEN 'the maker is not of the staff'
            WHEN NEW.status <> 'OPEN' THEN 'it starts as a proposal'
            WHEN jsonb_typeof(NEW.prices) <> 'object' OR NEW.prices = '{}'::jsonb
              THEN 'it has no prices'
            WHEN EXISTS (
                SELECT 1 FROM jsonb_each(NEW.prices) AS operation
                 WHERE jsonb_typeof(operation.value) <> 'object'
                    OR NOT operation.value ? 'default')
              THEN 'an operation has no price'
            WHEN EXISTS (
                SELECT 1 FROM jsonb_each(NEW.prices) AS operation,
                              jsonb_each_text(operation.value) AS plan
                 WHERE plan.value !~ '^[1-9][0-9]{0,6}$')
              THEN 'a price is no whole number from 1 up'
        END;
    ELSE
        fault := CASE
            WHEN TG_OP = 'DELETE' THEN 'cards are kept'
            WHEN OLD.status <> 'OPEN' THEN 'it is decided'
            WHEN to_jsonb(OLD) - decision <> to_jsonb(NEW) - decision
              THEN 'what was proposed does not change'
            WHEN NEW.status IN ('PUBLISHED', 'REJECTED') AND (
                   NEW.checker_id IS NOT DISTINCT FROM NEW.maker_id
                   OR NOT EXISTS (SELECT 1 FROM accounts_user
                                   WHERE id = NEW.checker_id AND is_active AND is_staff))
              THEN 'another person of the staff decides'
        END;
    END IF;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'rate card refused: %', fault
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tokens_ratecard_checked
    BEFORE INSERT OR UPDATE OR DELETE ON tokens_ratecard
    FOR EACH ROW EXECUTE FUNCTION tokens_check_rate_card();
CREATE TRIGGER tokens_pricetick_immutable
    BEFORE UPDATE OR DELETE ON tokens_pricetick
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_pricestop_immutable
    BEFORE UPDATE OR DELETE ON tokens_pricestop
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
