-- Purpose: how far people agree on one document: entropy of the clicks of the most clicked queries.
-- Parameters:
--   $top = 20: how many queries to give
-- Columns:
--   query_id: the query's id
--   query: its text, or its key where the log has no text
--   clicks: documents clicked
--   documents_clicked: distinct documents clicked
--   entropy_bits: 0 where all clicks go to one document, log2 of the documents if all get as many
--   top_document_share: share of the clicks that the most clicked document gets

with shown as (
    select * from exposures
    where clicks > 0
),

names as (
    select * from queries
),

by_pair as (
    select
        query_id,
        doc_id,
        sum(clicks)::bigint as clicks
    from shown
    group by query_id, doc_id
),

by_query as (
    -- H = log2(n) - sum(c log2 c) / n, without a second pass over the pairs.
    select
        query_id,
        sum(clicks)::bigint as clicks,
        count(*) as documents_clicked,
        greatest(log2(sum(clicks)) - sum(clicks * log2(clicks)) / sum(clicks), 0) as entropy_bits,
        max(clicks) / sum(clicks) as top_document_share
    from by_pair
    group by query_id
    order by clicks desc, query_id
    limit $top
),

final as (
    select
        by_query.query_id,
        coalesce(names."text", names."key") as query,
        by_query.clicks,
        by_query.documents_clicked,
        by_query.entropy_bits,
        by_query.top_document_share
    from by_query
    left join names using (query_id)
)

select * from final
order by clicks desc, query_id
