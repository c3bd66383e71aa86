-- Purpose: how far down the page people click for the most frequent queries, and their share.
-- Parameters:
--   $top = 20: how many queries to give
-- Columns:
--   query_id: the query's id
--   query: its text, or its key where the log has no text
--   impressions: documents shown for it
--   impression_share: their share of all impressions
--   clicks: documents clicked
--   click_share: their share of all clicks
--   ctr_first: click-through rate at rank 1
--   first_click_share: share of its clicks that rank 1 gets
--   mean_click_position: mean rank of its clicks

with shown as (
    select * from exposures
),

names as (
    select * from queries
),

by_query as (
    select
        query_id,
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks,
        sum(clicks) filter (where "position" = 1)
        / sum(impressions) filter (where "position" = 1) as ctr_first,
        coalesce(sum(clicks) filter (where "position" = 1), 0)
        / nullif(sum(clicks), 0) as first_click_share,
        sum(clicks * "position") / nullif(sum(clicks), 0) as mean_click_position
    from shown
    group by query_id
),

shared as (
    select
        *,
        impressions / sum(impressions) over () as impression_share,
        clicks / nullif(sum(clicks) over (), 0) as click_share
    from by_query
    order by impressions desc, query_id
    limit $top
),

final as (
    select
        shared.query_id,
        coalesce(names."text", names."key") as query,
        shared.impressions,
        shared.impression_share,
        shared.clicks,
        shared.click_share,
        shared.ctr_first,
        shared.first_click_share,
        shared.mean_click_position
    from shared
    left join names using (query_id)
)

select * from final
order by impressions desc, query_id
