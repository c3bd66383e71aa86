-- Purpose: a query is in one of the splits train, validation and test, and its sessions in one each.
-- Columns:
--   query_id: the query
--   query_splits: the splits it is in
--   session_splits: the splits of its sessions

with collapsed as (
    select * from lists
),

by_query as (
    select
        query_id,
        list(distinct query_split order by query_split) as query_splits,
        list(distinct session_split order by session_split) as session_splits,
        count(*) filter (
            where
            query_split is null
            or session_split is null
            or query_split not in ('train', 'validation', 'test')
            or session_split not in ('train', 'validation', 'test')
        ) as unknown
    from collapsed
    group by query_id
),

final as (
    select
        query_id,
        query_splits,
        session_splits
    from by_query
    where unknown > 0 or len(query_splits) != 1
)

select * from final
