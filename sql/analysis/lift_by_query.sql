-- Purpose: the queries that one run ranks most differently from another, by a metric.
-- Parameters:
--   $baseline = "naive": the run to compare with
--   $run = "dla": the run
--   $metric = "ndcg@10": a metric of per_query.parquet
--   $top = 20: how many queries to give
-- Columns:
--   query_id: the query's id
--   query: its text, or its key where the log has no text
--   impressions: documents shown for it, null where the log has none
--   baseline: the metric of the baseline
--   value: the metric of the run
--   lift: value - baseline

with measured as (
    select * from run_queries
    where metric = $metric
),

names as (
    select * from queries
),

shown as (
    select * from exposures
),

compared as (
    select
        ours.query_id,
        theirs."value" as baseline,
        ours."value",
        ours."value" - theirs."value" as lift
    from measured as ours
    inner join measured as theirs
        on ours.query_id = theirs.query_id and theirs.run = $baseline
    where ours.run = $run
    order by abs(ours."value" - theirs."value") desc, ours.query_id
    limit $top
),

traffic as (
    select
        query_id,
        sum(impressions)::bigint as impressions
    from shown
    where query_id in (select query_id from compared)
    group by query_id
),

final as (
    select
        compared.query_id,
        coalesce(names."text", names."key") as query,
        traffic.impressions,
        compared.baseline,
        compared."value",
        compared.lift
    from compared
    left join names using (query_id)
    left join traffic using (query_id)
)

select * from final
order by abs(lift) desc, query_id
