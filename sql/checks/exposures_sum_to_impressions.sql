-- Purpose: exposures count every impression and click once, by rank (or none were built yet).
-- Columns:
--   position: rank on the page
--   shown: impressions in sessions
--   in_exposures: impressions in exposures
--   clicked: clicks in sessions
--   clicks_in_exposures: clicks in exposures

with from_sessions as (
    select
        "position",
        count(*) as shown,
        sum(click)::bigint as clicked
    from impressions
    group by "position"
),

from_exposures as (
    select
        "position",
        sum(impressions)::bigint as in_exposures,
        sum(clicks)::bigint as clicks_in_exposures
    from exposures
    group by "position"
),

final as (
    select
        "position",
        coalesce(shown, 0) as shown,
        coalesce(in_exposures, 0) as in_exposures,
        coalesce(clicked, 0) as clicked,
        coalesce(clicks_in_exposures, 0) as clicks_in_exposures
    from from_sessions
    full join from_exposures using ("position")
    where
        exists (select 1 from from_exposures)
        and (
            shown is distinct from in_exposures
            or clicked is distinct from clicks_in_exposures
        )
)

select * from final
