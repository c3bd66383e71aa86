-- Purpose: exposures count every impression and click of the lists once, by rank.
-- Columns:
--   position: rank on the page
--   shown: impressions in lists
--   in_exposures: impressions in exposures
--   clicked: clicks in lists
--   clicks_in_exposures: clicks in exposures

with collapsed as (
    select
        n,
        unnest("position") as "position",
        unnest(click) as click
    from lists
),

from_lists as (
    select
        "position",
        sum(n)::bigint as shown,
        sum(n * click)::bigint as clicked
    from collapsed
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
    from from_lists
    full join from_exposures using ("position")
    where
        shown is distinct from in_exposures
        or clicked is distinct from clicks_in_exposures
)

select * from final
