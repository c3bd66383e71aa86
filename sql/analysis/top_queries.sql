-- Purpose: the most frequent queries with their text, pages, clicks and zero-click rate.
-- Parameters:
--   $top = 20: how many queries to give
-- Columns:
--   query_id: the query's id
--   query: its text, or its key where the log has no text
--   sessions: pages shown for it
--   documents: distinct documents shown for it
--   clicks: documents clicked
--   zero_click_rate: share of its pages without a click

with pages as (
    select * from sessions
),

names as (
    select * from queries
),

by_query as (
    select
        query_id,
        count(*) as sessions,
        sum(list_sum(click))::bigint as clicks,
        avg((not list_contains(click, 1))::integer) as zero_click_rate
    from pages
    group by query_id
    order by sessions desc, query_id
    limit $top
),

by_document as (
    select
        query_id,
        count(distinct doc_id) as documents
    from impressions
    where query_id in (select query_id from by_query)
    group by query_id
),

final as (
    select
        by_query.query_id,
        coalesce(names."text", names."key") as query,
        by_query.sessions,
        by_document.documents,
        by_query.clicks,
        by_query.zero_click_rate
    from by_query
    left join by_document using (query_id)
    left join names using (query_id)
)

select * from final
order by sessions desc, query_id
