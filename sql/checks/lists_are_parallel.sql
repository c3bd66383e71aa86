-- Purpose: the list columns of a page have one entry per document.
-- Columns:
--   source: the raw file of the page
--   ordinal: the line on which the page starts
--   documents: documents on the page
--   positions: entries of `position`
--   clicks: entries of `click`

with pages as (
    select * from sessions
),

final as (
    select
        source,
        ordinal,
        len(doc_id) as documents,
        len("position") as positions,
        len(click) as clicks
    from pages
    where
        doc_id is null
        or len(doc_id) = 0
        or len("position") is distinct from len(doc_id)
        or len(click) is distinct from len(doc_id)
        or coalesce(len(dwell_s), len(doc_id)) != len(doc_id)
        or coalesce(len(media_type), len(doc_id)) != len(doc_id)
        or coalesce(len(height_px), len(doc_id)) != len(doc_id)
)

select * from final
