-- Purpose: how far equal sessions collapse, by period: training costs rows, not sessions.
-- Columns:
--   period: the period of the lists
--   sessions: sessions in them
--   rows: collapsed rows
--   collapse_factor: sessions / rows
--   largest_row: sessions in the most frequent row

with collapsed as (
    select * from lists
),

final as (
    select
        period,
        sum(n)::bigint as sessions,
        count(*) as "rows",
        sum(n) / count(*) as collapse_factor,
        max(n) as largest_row
    from collapsed
    group by period
)

select * from final
order by period
