DROP TRIGGER trust_takedown_stays ON trust_takedown;
DROP TRIGGER trust_blockedhash_stays ON trust_blockedhash;
DROP TRIGGER trust_erasurereceipt_immutable ON trust_erasurereceipt;
DROP TRIGGER trust_consentasset_kept ON trust_consentasset;
DROP TRIGGER trust_consent_kept ON trust_consent;
DROP FUNCTION trust_consentasset_kept();
DROP FUNCTION trust_consent_kept();
DROP FUNCTION trust_refuse_change();
