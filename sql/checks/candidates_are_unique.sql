-- Purpose: a (query, document) is one candidate per period.
-- Columns:
--   query_id: the query
--   doc_id: the document
--   period: the period
--   bucket: the bucket
--   rows: rows that share them

with stored as (
    select * from candidates
),

final as (
    select
        query_id,
        doc_id,
        period,
        bucket,
        count(*) as "rows"
    from stored
    group by query_id, doc_id, period, bucket
    having count(*) > 1
)

select * from final
