-- Purpose: click-through rate by device and rank: a phone shows fewer ranks at once.
-- Parameters:
--   $period = null: only this period
-- Columns:
--   device: device class, null where the log has none
--   position: rank on the page, from 1
--   impressions: documents shown there
--   clicks: documents clicked there
--   ctr: clicks / impressions
--   ctr_relative: ctr / ctr at the first position shown on this device

with pages as (
    select * from sessions
    where $period is null or period = $period
),

shown as (
    select
        device,
        unnest("position") as "position",
        unnest(click) as click
    from pages
),

counted as (
    select
        device,
        "position",
        count(*) as impressions,
        sum(click)::bigint as clicks
    from shown
    group by device, "position"
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
            first_value(ctr) over (partition by device order by "position"), 0
        ) as ctr_relative
    from rates
)

select * from final
order by device, "position"
