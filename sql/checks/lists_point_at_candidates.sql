-- Purpose: every document of a list is a candidate of the same query in the same bucket.
-- Columns:
--   bucket: the bucket
--   query_id: the query
--   row: the row number that is not one of its candidates
--   lists: lists that hold it

with pointers as (
    select
        bucket,
        query_id,
        unnest("row") as "row"
    from lists
),

pairs as (
    select * from candidates
),

final as (
    select
        bucket,
        query_id,
        "row",
        count(*) as lists
    from pointers
    anti join pairs using (bucket, query_id, "row")
    group by bucket, query_id, "row"
)

select * from final
