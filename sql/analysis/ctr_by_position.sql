-- Purpose: click-through rate by rank, relative to rank 1 too: the first look at position bias.
-- Parameters:
--   $period = null: only this period
-- Columns:
--   position: rank on the page, from 1
--   impressions: documents shown there
--   clicks: documents clicked there
--   ctr: clicks / impressions
--   ctr_relative: ctr / ctr at the first position shown

with pages as (
    select * from sessions
    where $period is null or period = $period
),

shown as (
    select
        unnest("position") as "position",
        unnest(click) as click
    from pages
),

counted as (
    select
        "position",
        count(*) as impressions,
        sum(click)::bigint as clicks
    from shown
    group by "position"
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
        ctr / nullif(first_value(ctr) over (order by "position"), 0) as ctr_relative
    from rates
)

select * from final
order by "position"
