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

final as (
    select
        source,
        ordinal,
        query_id,
        period,
        device,
        unnest(doc_id) as doc_id,
        unnest("position") as "position",
        unnest(click) as click,
        unnest(dwell_s) as dwell_s,
        unnest(media_type) as media_type,
        unnest(height_px) as height_px,
        weight
    from pages
)

select * from final
