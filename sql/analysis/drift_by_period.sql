-- Purpose: what changes from period to period: traffic, clicks beyond the ranks shown, new queries.
-- Columns:
--   period: the period of the exposures
--   impressions: documents shown
--   clicks: documents clicked
--   ctr: clicks / impressions
--   ctr_expected: ctr if each rank were clicked as over all periods
--   ctr_ratio: ctr / ctr_expected: 1 where only the ranks shown differ
--   queries: distinct queries
--   new_queries: of these, those that no earlier period has

with shown as (
    select * from exposures
),

collapsed as (
    -- As many queries and periods as exposures have, in a tenth of the rows.
    select * from lists
),

by_position as (
    select
        period,
        "position",
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks
    from shown
    group by period, "position"
),

with_expected as (
    select
        *,
        impressions * (
            sum(clicks) over (partition by "position")
            / sum(impressions) over (partition by "position")
        ) as expected_clicks
    from by_position
),

by_period as (
    select
        period,
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks,
        sum(expected_clicks) as expected_clicks
    from with_expected
    group by period
),

query_periods as (
    select distinct
        period,
        query_id
    from collapsed
),

first_seen as (
    select
        query_id,
        min(period) as period
    from query_periods
    group by query_id
),

queries_seen as (
    select
        period,
        count(*) as queries
    from query_periods
    group by period
),

queries_new as (
    select
        period,
        count(*) as new_queries
    from first_seen
    group by period
),

final as (
    select
        by_period.period,
        by_period.impressions,
        by_period.clicks,
        by_period.clicks / by_period.impressions as ctr,
        by_period.expected_clicks / by_period.impressions as ctr_expected,
        by_period.clicks / nullif(by_period.expected_clicks, 0) as ctr_ratio,
        queries_seen.queries,
        coalesce(queries_new.new_queries, 0) as new_queries
    from by_period
    inner join queries_seen using (period)
    left join queries_new using (period)
)

select * from final
order by period
