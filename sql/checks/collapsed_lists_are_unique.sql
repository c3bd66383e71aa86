-- Purpose: equal sessions of a period and split stand in one row of lists.
-- Columns:
--   bucket: the bucket
--   period: the period
--   query_id: the query
--   row: the documents, as rows of the candidates
--   position: their ranks
--   context: their bias contexts
--   click: their clicks
--   session_split: the split of the sessions
--   rows: rows that share them

with stored as (
    select * from lists
),

final as (
    select
        bucket,
        period,
        query_id,
        "row",
        "position",
        context,
        click,
        session_split,
        count(*) as "rows"
    from stored
    group by bucket, period, query_id, "row", "position", context, click, session_split
    having count(*) > 1
)

select * from final
