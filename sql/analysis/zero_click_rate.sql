-- Purpose: share of pages without a click, by period.
-- Columns:
--   period: UTC day, `all` without time
--   sessions: pages shown
--   sessions_without_click: pages on which nothing was clicked
--   zero_click_rate: sessions_without_click / sessions

with pages as (
    select * from sessions
),

counted as (
    select
        period,
        count(*) as sessions,
        count(*) filter (where not list_contains(click, 1)) as sessions_without_click
    from pages
    group by period
),

final as (
    select
        *,
        sessions_without_click / sessions as zero_click_rate
    from counted
)

select * from final
order by period
