-- Purpose: the candidates of a bucket are numbered 0, 1, 2 … without a gap.
-- Columns:
--   bucket: the bucket
--   rows: candidates in it
--   distinct_rows: distinct row numbers
--   first_row: smallest row number
--   last_row: largest row number

with pairs as (
    select * from candidates
),

counted as (
    select
        bucket,
        count(*) as "rows",
        count(distinct "row") as distinct_rows,
        min("row") as first_row,
        max("row") as last_row
    from pairs
    group by bucket
),

final as (
    select * from counted
    where first_row != 0 or last_row != "rows" - 1 or distinct_rows != "rows"
)

select * from final
