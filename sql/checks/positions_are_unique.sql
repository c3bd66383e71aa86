-- Purpose: a page shows one document per rank.
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
    where len(list_distinct("position")) < len("position")
)

select * from final
