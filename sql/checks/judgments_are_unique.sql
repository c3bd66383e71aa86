-- Purpose: a (query, document) has one grade.
-- Columns:
--   query_id: the query
--   doc_id: the document
--   rows: rows that share them

with stored as (
    select * from judgments
),

final as (
    select
        query_id,
        doc_id,
        count(*) as "rows"
    from stored
    group by query_id, doc_id
    having count(*) > 1
)

select * from final
