-- A closed month takes no more transfers, nor does any month before it, whose figures it carries.
-- SQLSTATE TK002 tells the writer why.
CREATE FUNCTION tokens_refuse_closed_month() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_month date := date_trunc('month', NEW.effective_at AT TIME ZONE 'UTC')::date;
BEGIN
    IF EXISTS (
        SELECT 1 FROM tokens_monthclose WHERE month >= v_month AND reopened_at IS NULL
    ) THEN
        RAISE EXCEPTION 'the books of % are closed', to_char(v_month, 'YYYY-MM')
            USING ERRCODE = 'TK002';
    END IF;
    RETURN NEW;
END $$;

-- Only a month that has ended can be closed, so nearly every row passes on one comparison. The
-- comparison is with the clock and not with the start of the statement: it is made while the table
-- is locked for the writer, and closing takes a lock that conflicts with that one.
CREATE TRIGGER tokens_transfer_month_is_open
    BEFORE INSERT ON tokens_transfer
    FOR EACH ROW WHEN (NEW.effective_at < date_trunc('month', clock_timestamp(), 'UTC'))
    EXECUTE FUNCTION tokens_refuse_closed_month();

-- The moment itself, or where its month is closed, the end of the last closed month: what a sweep
-- posts late belongs to the books that are still open.
CREATE FUNCTION tokens_open_moment(p_moment timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT greatest(p_moment, (
        SELECT (max(month) + interval '1 month') AT TIME ZONE 'UTC'
          FROM tokens_monthclose WHERE reopened_at IS NULL
    ))
$$;

-- A closed month changes twice at most: it gets its figures, and it is reopened with a reason.
CREATE FUNCTION tokens_guard_month_close() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.reopened_at IS NULL
       AND (NEW.id, NEW.month, NEW.closed_at, NEW.closed_by_id)
         = (OLD.id, OLD.month, OLD.closed_at, OLD.closed_by_id)
       AND (CASE WHEN NEW.reopened_at IS NULL
            THEN OLD.totals IS NULL AND NEW.totals IS NOT NULL
            ELSE (NEW.totals, NEW.totals_sha256)
                 IS NOT DISTINCT FROM (OLD.totals, OLD.totals_sha256) END)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a closed month can only be added up once and reopened'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER tokens_monthclose_guarded
    BEFORE UPDATE OR DELETE ON tokens_monthclose
    FOR EACH ROW EXECUTE FUNCTION tokens_guard_month_close();
