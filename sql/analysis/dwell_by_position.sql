-- Purpose: time spent on clicked documents by rank: many short visits are clicks that position won.
-- Parameters:
--   $short_s = 30: a visit below this many seconds counts as short
-- Columns:
--   position: rank on the page, from 1
--   clicks: documents clicked there
--   timed_clicks: of these, those with a dwell time
--   mean_dwell_s: mean dwell time of these
--   median_dwell_s: median dwell time of these
--   short_share: share of these that were short

with shown as (
    select * from impressions
    where click = 1
),

final as (
    select
        "position",
        count(*) as clicks,
        count(dwell_s) as timed_clicks,
        avg(dwell_s) as mean_dwell_s,
        approx_quantile(dwell_s, 0.5) as median_dwell_s,
        avg((dwell_s < $short_s)::integer) as short_share
    from shown
    group by "position"
)

select * from final
order by "position"
