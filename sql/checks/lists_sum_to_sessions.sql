-- Purpose: the collapsed lists hold every session that no filter took once (or are not built yet).
-- Columns:
--   sessions: pages in sessions
--   left_out: pages that filters took, by the manifest
--   in_lists: sessions in lists

with counted as (
    select
        (select count(*) from sessions) as sessions,
        (select count(*) from list_periods) as periods,
        (select coalesce(sum(dropped), 0)::bigint from list_periods) as left_out,
        (select coalesce(sum(n), 0)::bigint from lists) as in_lists
),

final as (
    select
        sessions,
        left_out,
        in_lists
    from counted
    where periods > 0 and sessions != left_out + in_lists
)

select * from final
