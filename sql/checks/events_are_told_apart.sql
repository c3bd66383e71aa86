-- Purpose: an event belongs to a page that its lake holds, or is known not to.
-- Columns:
--   source: raw file of the event
--   line: its line
--   problem: what is wrong

with recorded as (
    select * from events
),

shown as (
    select * from sessions
),

without_page as (
    select * from unattached
),

refused as (
    select * from rejects
),

lost as (
    -- By its page's id, where it has one: other events are found by client or session.
    select
        recorded.source,
        recorded.line,
        'no page takes it, and it does not wait' as problem
    from recorded
    anti join shown using (page_id)
    anti join without_page
        on recorded.source = without_page.source and recorded.line = without_page.line
    where recorded.page_id is not null and recorded.kind <> 'query'
),

unrecorded as (
    select
        without_page.source,
        without_page.line,
        'it waits, but is no event' as problem
    from without_page
    anti join recorded
        on recorded.source = without_page.source and recorded.line = without_page.line
),

kept as (
    select
        without_page.source,
        without_page.line,
        'it cannot be used, but is no reject' as problem
    from without_page
    anti join refused
        on refused.source = without_page.source and refused.line = without_page.line
    where without_page.waits_from is null
),

final as (
    select * from lost
    union all
    select * from unrecorded
    union all
    select * from kept
)

select * from final
