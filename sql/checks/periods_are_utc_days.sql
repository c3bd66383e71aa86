-- Purpose: the period of a page is the UTC day on which it was shown, or `all` without a time.
-- Columns:
--   source: the raw file of the page
--   ordinal: the line on which the page starts
--   shown_at: when it was shown
--   period: its period

with pages as (
    select * from sessions
),

final as (
    select
        source,
        ordinal,
        shown_at,
        period
    from pages
    where period is distinct from coalesce(strftime(shown_at, '%Y-%m-%d'), 'all')
)

select * from final
