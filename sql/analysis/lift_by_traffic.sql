-- Purpose: lift of one run over another from tail to head queries, with its standard error.
-- Parameters:
--   $baseline = "naive": the run to compare with
--   $run = "dla": the run
--   $metric = "ndcg@10": a metric of per_query.parquet
-- Columns:
--   impressions_from: least number of documents shown for a query of this band, 0 for none
--   queries: queries that both runs were evaluated on
--   baseline: mean of the metric of the baseline
--   value: mean of the metric of the run
--   lift: mean of value - baseline
--   standard_error: of the lift, null for a single query
--   better: queries that the run ranks better
--   worse: queries that the run ranks worse

with measured as (
    select * from run_queries
    where metric = $metric
),

shown as (
    select * from exposures
),

traffic as (
    select
        query_id,
        sum(impressions)::bigint as impressions
    from shown
    group by query_id
),

compared as (
    select
        coalesce(floor(log10(traffic.impressions))::integer, -1) as band,
        theirs."value" as baseline,
        ours."value",
        ours."value" - theirs."value" as lift
    from measured as ours
    inner join measured as theirs
        on ours.query_id = theirs.query_id and theirs.run = $baseline
    left join traffic on ours.query_id = traffic.query_id
    where ours.run = $run
),

final as (
    select
        if(band < 0, 0, 10 ** band)::bigint as impressions_from,
        count(*) as queries,
        avg(baseline) as baseline,
        avg("value") as "value",
        avg(lift) as lift,
        stddev_samp(lift) / sqrt(count(*)) as standard_error,
        count(*) filter (where lift > 0) as better,
        count(*) filter (where lift < 0) as worse
    from compared
    group by band
)

select * from final
order by impressions_from
