-- Purpose: a click is 0 or 1, never missing.
-- Columns:
--   source: the raw file of the page
--   ordinal: the line on which the page starts
--   clicks: the clicks as logged

with pages as (
    select * from sessions
),

final as (
    select
        source,
        ordinal,
        click as clicks
    from pages
    where len([c for c in click if c is null or c not in (0, 1)]) > 0
)

select * from final
