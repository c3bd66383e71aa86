-- Purpose: lines that could not be used, by reason, with one example each.
-- Columns:
--   reason: the rule that was broken
--   lines: lines that broke it
--   sources: raw files they come from
--   first_source: the first of these files
--   first_line: the first such line in it
--   example: that line, cut at 1 KiB

with refused as (
    select * from rejects
),

final as (
    select
        reason,
        count(*) as lines,
        count(distinct source) as sources,
        min(source) as first_source,
        arg_min(line, (source, line)) as first_line,
        arg_min("text", (source, line)) as example
    from refused
    group by reason
)

select * from final
order by lines desc, reason
