-- Purpose: share of pages left without a click, by device and page length.
-- Columns:
--   device: device class, null where the log has none
--   documents: documents on the page
--   sessions: pages shown
--   sessions_without_click: of these, those on which nothing was clicked
--   abandonment_rate: sessions_without_click / sessions

with pages as (
    select * from sessions
),

counted as (
    select
        device,
        len(click) as documents,
        count(*) as sessions,
        count(*) filter (where not list_contains(click, 1)) as sessions_without_click
    from pages
    group by device, len(click)
),

final as (
    select
        *,
        sessions_without_click / sessions as abandonment_rate
    from counted
)

select * from final
order by device, documents
