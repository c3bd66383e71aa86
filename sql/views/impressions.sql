-- Purpose: one row per document shown on a page: the list columns of sessions, unrolled.
-- Columns:
--   source: the raw file the page comes from
--   ordinal: line of the source on which the page starts
--   query_id: the query
--   period: UTC day of the page, `all` without time
--   device: device class
--   doc_id: the document
--   position: rank on the page, from 1
--   click: 1 where the document was clicked
--   dwell_s: time spent on the clicked document
--   media_type: kind of result
--   height_px: height of the result
--   weight: what the page counts for

with pages as (
    select * from sessions
),

unrolled as (
    -- DuckDB unrolls every list of an unnest, used or not. What is picked by place is read only
    -- when a query asks for it.
    select
        * exclude ("position", click),
        unnest("position") as "position",
        unnest(click) as click,
        generate_subscripts("position", 1) as place
    from pages
),

final as (
    select
        source,
        ordinal,
        query_id,
        period,
        device,
        doc_id[place] as doc_id,
        "position",
        click,
        dwell_s[place] as dwell_s,
        media_type[place] as media_type,
        height_px[place] as height_px,
        weight
    from unrolled
)

select * from final
