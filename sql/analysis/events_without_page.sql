-- Purpose: events that no page takes, by what is missing: those that wait, and those overdue.
-- Columns:
--   reason: what is missing
--   kind: impression, click or action
--   action: what the log calls it
--   events: how many
--   waiting: of these, how many may still find their page; the others are rejects
--   oldest: time of the first (a log without dates counts from 1970)
--   newest: time of the last

with without_page as (
    select * from unattached
),

recorded as (
    select * from events
),

refused as (
    select
        source,
        line,
        true as is_reject
    from rejects
),

final as (
    select
        without_page.reason,
        recorded.kind,
        recorded.action,
        count(*) as events,
        count(*) filter (where refused.is_reject is null) as waiting,
        min(without_page.waits_from) as oldest,
        max(without_page.waits_from) as newest
    from without_page
    inner join recorded
        on without_page.source = recorded.source and without_page.line = recorded.line
    left join refused
        on without_page.source = refused.source and without_page.line = refused.line
    group by without_page.reason, recorded.kind, recorded.action
)

select * from final
order by events desc, reason, kind, action
