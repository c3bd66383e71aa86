-- Purpose: what the log can tell: pairs seen at several ranks, with features, with a judgment.
-- Columns:
--   measure: what is counted
--   pairs: (query, document) pairs for which it holds
--   of_pairs: pairs it is counted over
--   share: pairs / of_pairs

with shown as (
    select * from impressions
),

feature_pairs as (
    select distinct query_id, doc_id from features
),

judged_pairs as (
    select distinct query_id, doc_id from judgments
),

pairs as (
    select
        query_id,
        doc_id,
        count(distinct "position") as positions,
        max(click) as clicked
    from shown
    group by query_id, doc_id
),

described as (
    select
        pairs.*,
        feature_pairs.doc_id is not null as has_features,
        judged_pairs.doc_id is not null as has_judgment
    from pairs
    left join feature_pairs using (query_id, doc_id)
    left join judged_pairs using (query_id, doc_id)
),

measured as (
    select
        count(*) as of_pairs,
        count(*) filter (where positions > 1) as seen_at_several_positions,
        count(*) filter (where clicked = 1) as clicked,
        count(*) filter (where has_features) as with_features,
        count(*) filter (where has_judgment) as with_judgment
    from described
),

final as (
    select
        measure,
        pairs,
        of_pairs,
        pairs / nullif(of_pairs, 0) as share
    from measured
    unpivot (
        pairs for measure in (
            seen_at_several_positions, clicked, with_features, with_judgment
        )
    )
)

select * from final
