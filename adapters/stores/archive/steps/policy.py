"""The policy's versions, as a view of the policy's own stream."""

POLICY = (
    """CREATE VIEW policy AS SELECT
        json_extract(body, '$.version') AS version,
        at_ms,
        actor,
        coalesce(json_extract(body, '$.note'), '') AS note,
        json_extract(body, '$.files') AS files,
        position
    FROM event WHERE stream = 'policy'""",
)
