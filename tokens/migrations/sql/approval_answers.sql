-- Only the maker answers, only a question, and only while the request can still be decided. The
-- lock is the one that votes take, so an answer never slips in behind the decision.
CREATE FUNCTION tokens_check_answer() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked tokens_approvalrequest%ROWTYPE;
    question tokens_approvalvote%ROWTYPE;
    fault text;
BEGIN
    SELECT * INTO question FROM tokens_approvalvote WHERE id = NEW.question_id;
    SELECT * INTO asked FROM tokens_approvalrequest WHERE id = question.request_id
       FOR NO KEY UPDATE;
    fault := CASE
        WHEN question.id IS NULL OR question.decision <> 'ASK' THEN 'no such question'
        WHEN asked.status <> 'OPEN' THEN 'the request is closed'
        WHEN asked.expires_at <= clock_timestamp() THEN 'the request has expired'
        WHEN NEW.author_id <> asked.maker_id THEN 'only the maker answers'
    END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'answer refused: %', fault
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tokens_approvalanswer_checked
    BEFORE INSERT ON tokens_approvalanswer
    FOR EACH ROW EXECUTE FUNCTION tokens_check_answer();
CREATE TRIGGER tokens_approvalanswer_immutable
    BEFORE UPDATE OR DELETE ON tokens_approvalanswer
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
