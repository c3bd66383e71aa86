-- Purpose: the lists of a collapsed row have one entry per document.
-- Columns:
--   bucket: the bucket
--   period: the period
--   query_id: the query
--   documents: entries of `row`
--   positions: entries of `position`
--   contexts: entries of `context`, null without context
--   clicks: entries of `click`

with collapsed as (
    select * from lists
),

final as (
    select
        bucket,
        period,
        query_id,
        len("row") as documents,
        len("position") as positions,
        len(context) as contexts,
        len(click) as clicks
    from collapsed
    where
        "row" is null
        or len("row") = 0
        or len("position") is distinct from len("row")
        or len(click) is distinct from len("row")
        or coalesce(len(context), len("row")) != len("row")
)

select * from final
