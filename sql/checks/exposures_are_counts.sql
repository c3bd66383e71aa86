-- Purpose: exposures count what was shown: clicks within impressions, ranks from 1, no negative time.
-- Columns:
--   query_id: the query
--   doc_id: the document
--   position: rank on the page
--   period: the period
--   impressions: times shown
--   clicks: times clicked
--   dwell_sum_s: total time spent on the document

with shown as (
    select * from exposures
),

final as (
    select
        query_id,
        doc_id,
        "position",
        period,
        impressions,
        clicks,
        dwell_sum_s
    from shown
    where
        not (
            coalesce("position" >= 1, false)
            and coalesce(impressions >= 1, false)
            and coalesce(clicks between 0 and impressions, false)
            and coalesce(dwell_sum_s >= 0, true)
        )
)

select * from final
