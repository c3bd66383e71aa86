-- Purpose: a collapsed row stands for at least one session, and its weights can be theirs.
-- Columns:
--   bucket: the bucket
--   period: the period
--   query_id: the query
--   n: sessions in the row
--   weight: sum of their weights
--   weight_sq: sum of the squares of their weights

with collapsed as (
    select * from lists
),

final as (
    -- (sum w)² / n <= sum w² <= (sum w)², for n weights above 0, a little more for rounding.
    select
        bucket,
        period,
        query_id,
        n,
        weight,
        weight_sq
    from collapsed
    where
        not coalesce(
            n >= 1
            and weight > 0
            and weight_sq >= weight * weight / n * (1 - 1e-9)
            and weight_sq <= weight * weight * (1 + 1e-9),
            false
        )
)

select * from final
