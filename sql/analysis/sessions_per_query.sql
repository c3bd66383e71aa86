-- Purpose: how the traffic spreads over queries, from the tail (one session) to the head.
-- Columns:
--   sessions_from: smallest number of sessions of a query in this band
--   sessions_to: largest number of sessions of a query in this band
--   queries: queries in the band
--   sessions: their sessions
--   session_share: their share of all sessions

with pages as (
    select * from sessions
),

by_query as (
    select
        query_id,
        count(*) as sessions
    from pages
    group by query_id
),

banded as (
    select
        *,
        floor(log10(sessions))::integer as band
    from by_query
),

final as (
    select
        (10 ** band)::bigint as sessions_from,
        (10 ** (band + 1))::bigint - 1 as sessions_to,
        count(*) as queries,
        sum(sessions)::bigint as sessions,
        sum(sessions) / sum(sum(sessions)) over () as session_share
    from banded
    group by band
)

select * from final
order by sessions_from
