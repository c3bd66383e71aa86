-- Purpose: source and line name one event.
-- Columns:
--   source: the raw file
--   line: its line
--   rows: rows that share them

with stored as (
    select * from events
),

final as (
    select
        source,
        line,
        count(*) as "rows"
    from stored
    group by source, line
    having count(*) > 1
)

select * from final
