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
        or coalesce(len(max_height_px), len(doc_id)) != len(doc_id)
        or coalesce(len(top_px), len(doc_id)) != len(doc_id)
        or coalesce(len(abstract_length), len(doc_id)) != len(doc_id)
        or coalesce(len(log_features), len(doc_id)) != len(doc_id)
        or coalesce(len(skip), len(doc_id)) != len(doc_id)
        or coalesce(len(first_click), len(doc_id)) != len(doc_id)
        or coalesce(len(last_click), len(doc_id)) != len(doc_id)
        or coalesce(len(final_click), len(doc_id)) != len(doc_id)
        or coalesce(len(click_count), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_s), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_top_s), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_middle_s), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_bottom_s), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_count), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_top_count), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_middle_count), len(doc_id)) != len(doc_id)
        or coalesce(len(displayed_bottom_count), len(doc_id)) != len(doc_id)
        or coalesce(len(reverse_displayed_count), len(doc_id)) != len(doc_id)
        or coalesce(len(slip_off_count), len(doc_id)) != len(doc_id)
        or coalesce(len(slip_off_after_click_count), len(doc_id)) != len(doc_id)
)

select * from final
