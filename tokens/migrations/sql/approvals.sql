-- The rules of four eyes, for whoever writes: code, console or psql.

-- A vote is by another than the maker, active, with a role that may, on the content of the request,
-- in time, and with a second factor unless the policies let programs vote. The lock makes votes of
-- one request follow each other, so none slips in beside the vote that decides.
CREATE FUNCTION tokens_check_vote() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked tokens_approvalrequest%ROWTYPE;
    batch tokens_rechargebatch%ROWTYPE;
    fault text;
BEGIN
    SELECT * INTO asked FROM tokens_approvalrequest WHERE id = NEW.request_id FOR NO KEY UPDATE;
    SELECT * INTO batch FROM tokens_rechargebatch WHERE id = asked.batch_id;
    fault := CASE
        WHEN asked.id IS NULL THEN 'no such request'
        WHEN asked.status <> 'OPEN' THEN 'the request is closed'
        WHEN asked.expires_at <= clock_timestamp() THEN 'the request has expired'
        WHEN NEW.voter_id IN (asked.maker_id, batch.actor_id) THEN 'the maker may not check'
        WHEN NEW.content_sha256 <> asked.content_sha256
          OR NEW.content_sha256 <> batch.content_sha256 THEN 'another content'
        WHEN NOT NEW.voter_role = ANY (asked.roles)
          OR NOT EXISTS (SELECT 1 FROM accounts_user
                          WHERE id = NEW.voter_id AND is_active AND role = NEW.voter_role)
          THEN 'the voter has no role that may decide'
        WHEN NEW.decision <> 'ASK' AND NEW.second_factor_at IS NULL AND NOT asked.is_open_to_keys
          THEN 'no second factor'
    END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'vote refused: %', fault USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tokens_approvalvote_checked
    BEFORE INSERT ON tokens_approvalvote
    FOR EACH ROW EXECUTE FUNCTION tokens_check_vote();
CREATE TRIGGER tokens_approvalvote_immutable
    BEFORE UPDATE OR DELETE ON tokens_approvalvote
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_approvalassessment_immutable
    BEFORE UPDATE OR DELETE ON tokens_approvalassessment
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();

-- A request is opened, then decided once, as its votes or its deadline say; nothing else changes.
CREATE FUNCTION tokens_check_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fault text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'OPEN' THEN
            RAISE EXCEPTION 'a request is opened before it is decided'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END IF;
    fault := CASE
        WHEN TG_OP = 'DELETE' THEN 'requests are kept'
        WHEN OLD.status <> 'OPEN' THEN 'the request is closed'
        WHEN to_jsonb(OLD) - 'status' - 'decided_at' <> to_jsonb(NEW) - 'status' - 'decided_at'
          THEN 'what was asked does not change'
        WHEN NEW.status = 'APPROVED' AND (
               EXISTS (SELECT 1 FROM tokens_approvalvote
                        WHERE request_id = NEW.id AND decision = 'REJECT')
               OR NEW.approvals_required > (
                   SELECT count(DISTINCT voter_id) FROM tokens_approvalvote
                    WHERE request_id = NEW.id AND decision = 'APPROVE'
                      AND voter_id <> NEW.maker_id AND content_sha256 = (
                          SELECT content_sha256 FROM tokens_rechargebatch WHERE id = NEW.batch_id)))
          THEN 'the quorum is not reached'
        WHEN NEW.status = 'REJECTED' AND NOT EXISTS (
               SELECT 1 FROM tokens_approvalvote
                WHERE request_id = NEW.id AND decision = 'REJECT')
          THEN 'nobody rejected it'
        WHEN NEW.status = 'EXPIRED' AND NEW.expires_at > clock_timestamp() THEN 'it has time left'
    END;
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'request refused: %', fault USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tokens_approvalrequest_checked
    BEFORE INSERT OR UPDATE OR DELETE ON tokens_approvalrequest
    FOR EACH ROW EXECUTE FUNCTION tokens_check_request();

-- A batch with a request goes nowhere but into waiting or refusal until the request is approved
-- for the content the batch has now: an edit after the votes takes them away.
CREATE FUNCTION tokens_check_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status NOT IN ('PENDING_APPROVAL', 'REJECTED', 'APPROVAL_EXPIRED')
       AND NOT (NEW.status = 'STOPPED' AND NEW.applied_count = 0)
       AND EXISTS (
           SELECT 1 FROM tokens_approvalrequest
            WHERE batch_id = NEW.id
              AND (status <> 'APPROVED' OR content_sha256 <> NEW.content_sha256)) THEN
        RAISE EXCEPTION 'batch % is not approved', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tokens_rechargebatch_approved
    BEFORE UPDATE OF status, applied_count ON tokens_rechargebatch
    FOR EACH ROW EXECUTE FUNCTION tokens_check_release();
