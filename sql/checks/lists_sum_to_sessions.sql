-- Purpose: the collapsed lists hold every session once (or none were built yet).
-- Columns:
--   sessions: pages in sessions
--   in_lists: sessions in lists

with counted as (
    select
        (select count(*) from sessions) as sessions,
        (select count(*) from lists) as "rows",
        (select coalesce(sum(n), 0)::bigint from lists) as in_lists
),

final as (
    select
        sessions,
        in_lists
    from counted
    where "rows" > 0 and sessions != in_lists
)

select * from final
