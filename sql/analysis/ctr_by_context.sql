-- Purpose: click-through rate by bias context and rank, to see whether it changes the curve.
-- Parameters:
--   $period = null: only this period
-- Columns:
--   context: bias context of the impression, empty unless `ultr lists --context` named columns
--   position: rank on the page, from 1
--   impressions: documents shown there
--   clicks: documents clicked there
--   ctr: clicks / impressions
--   ctr_relative: ctr / ctr at the first position shown in this context

with shown as (
    select * from exposures
    where $period is null or period = $period
),

counted as (
    select
        context,
        "position",
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks
    from shown
    group by context, "position"
),

rates as (
    select
        *,
        clicks / impressions as ctr
    from counted
),

final as (
    select
        *,
        ctr / nullif(
            first_value(ctr) over (partition by context order by "position"), 0
        ) as ctr_relative
    from rates
)

select * from final
order by context, "position"
