-- Purpose: frequent queries that are most often left without a click: bad results, or an answer.
-- Parameters:
--   $min_sessions = 10: only queries with at least this many pages
--   $top = 20: how many queries to give
-- Columns:
--   query_id: the query's id
--   query: its text, or its key where the log has no text
--   sessions: pages shown for it
--   sessions_without_click: of these, those on which nothing was clicked
--   abandonment_rate: sessions_without_click / sessions

with pages as (
    select * from sessions
),

names as (
    select * from queries
),

by_query as (
    select
        query_id,
        count(*) as sessions,
        count(*) filter (where not list_contains(click, 1)) as sessions_without_click
    from pages
    group by query_id
    having count(*) >= $min_sessions
),

most as (
    select
        *,
        sessions_without_click / sessions as abandonment_rate
    from by_query
    order by abandonment_rate desc, sessions desc, query_id
    limit $top
),

final as (
    select
        most.query_id,
        coalesce(names."text", names."key") as query,
        most.sessions,
        most.sessions_without_click,
        most.abandonment_rate
    from most
    left join names using (query_id)
)

select * from final
order by abandonment_rate desc, sessions desc, query_id
