-- A text in a CSV file: what a spreadsheet would take for a formula is marked as text.
CREATE FUNCTION tokens_csv_text(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_text ~ '^[=+@\t\r-]' THEN '''' || p_text ELSE p_text END
$$;
-- A moment as ISO 8601 in UTC, to the microsecond, whatever the session's settings.
CREATE FUNCTION tokens_iso(p_moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(p_moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
