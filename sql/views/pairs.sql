-- Purpose: one row per (query, document) that was shown: its counts over ranks and periods.
-- Columns:
--   query_id: the query
--   doc_id: the document
--   positions: distinct ranks at which it was shown
--   impressions: times shown
--   clicks: times clicked
--   first_period: the first period in which it was shown

with shown as (
    select * from exposures
),

final as (
    select
        query_id,
        doc_id,
        count(distinct "position") as positions,
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks,
        min(period) as first_period
    from shown
    group by query_id, doc_id
)

select * from final
