-- Purpose: ranks are numbered from 1.
-- Columns:
--   source: the raw file of the page
--   ordinal: the line on which the page starts
--   positions: the ranks as logged

with pages as (
    select * from sessions
),

final as (
    select
        source,
        ordinal,
        "position" as positions
    from pages
    where coalesce(list_min("position") < 1, true)
)

select * from final
