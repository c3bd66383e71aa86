-- Purpose: query, document, rank, context and period name one row of exposures.
-- Columns:
--   query_id: the query
--   doc_id: the document
--   position: rank on the page
--   context: the bias context
--   period: the period
--   rows: rows that share them

with stored as (
    select * from exposures
),

final as (
    select
        query_id,
        doc_id,
        "position",
        context,
        period,
        count(*) as "rows"
    from stored
    group by query_id, doc_id, "position", context, period
    having count(*) > 1
)

select * from final
