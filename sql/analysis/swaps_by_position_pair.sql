-- Purpose: (query, document) pairs seen at both of two ranks: the swaps that identify the curve.
-- Columns:
--   position_a: the higher rank
--   position_b: the lower rank
--   pairs: (query, document) pairs seen at both
--   impressions: of these pairs at the two ranks, the smaller of both summed
--   ctr_a: click-through rate of these pairs at position_a
--   ctr_b: click-through rate of these pairs at position_b

with shown as (
    select * from exposures
),

by_pair as (
    select
        query_id,
        doc_id,
        "position",
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks
    from shown
    group by query_id, doc_id, "position"
),

final as (
    select
        a."position" as position_a,
        b."position" as position_b,
        count(*) as pairs,
        sum(least(a.impressions, b.impressions))::bigint as impressions,
        sum(a.clicks) / sum(a.impressions) as ctr_a,
        sum(b.clicks) / sum(b.impressions) as ctr_b
    from by_pair as a
    inner join by_pair as b
        on
            a.query_id = b.query_id
            and a.doc_id = b.doc_id
            and a."position" < b."position"
    group by a."position", b."position"
)

select * from final
order by position_a, position_b
