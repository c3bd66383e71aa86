-- Purpose: a page counts for a number above 0.
-- Columns:
--   source: the raw file of the page
--   ordinal: the line on which the page starts
--   weight: what it counts for

with pages as (
    select * from sessions
),

final as (
    select
        source,
        ordinal,
        weight
    from pages
    where not coalesce(weight > 0 and isfinite(weight), false)
)

select * from final
