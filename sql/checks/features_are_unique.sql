-- Purpose: a (query, document) has one row of features per period and group.
-- Columns:
--   query_id: the query
--   doc_id: the document
--   period: the period
--   feature_group: the group
--   rows: rows that share them

with stored as (
    select * from features
),

final as (
    select
        query_id,
        doc_id,
        period,
        feature_group,
        count(*) as "rows"
    from stored
    group by query_id, doc_id, period, feature_group
    having count(*) > 1
)

select * from final
