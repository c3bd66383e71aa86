-- Purpose: source and ordinal name one page.
-- Columns:
--   source: the raw file of the page
--   ordinal: the line on which the page starts
--   pages: pages that share them

with pages as (
    select * from sessions
),

final as (
    select
        source,
        ordinal,
        count(*) as pages
    from pages
    group by source, ordinal
    having count(*) > 1
)

select * from final
