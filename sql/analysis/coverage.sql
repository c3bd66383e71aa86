-- Purpose: what the log can tell: pairs seen at several ranks, with features, with a judgment.
-- Columns:
--   measure: what is counted
--   pairs: (query, document) pairs for which it holds
--   of_pairs: pairs it is counted over
--   share: pairs / of_pairs

with shown as (
    select * from exposures
),

feature_pairs as (
    select
        query_id,
        doc_id
    from features
),

judged_pairs as (
    select
        query_id,
        doc_id
    from judgments
),

pairs as (
    -- Two ranks differ where the least and the greatest do, which needs no set of ranks per pair.
    select
        query_id,
        doc_id,
        min("position") < max("position") as is_swapped,
        max(clicks) > 0 as is_clicked
    from shown
    group by query_id, doc_id
),

measured as (
    select
        count(*) as of_pairs,
        count(*) filter (where is_swapped) as seen_at_several_positions,
        count(*) filter (where is_clicked) as clicked
    from pairs
),

described as (
    select
        of_pairs,
        seen_at_several_positions,
        clicked,
        (select count(*) from pairs semi join feature_pairs using (query_id, doc_id))
            as with_features,
        (select count(*) from pairs semi join judged_pairs using (query_id, doc_id))
            as with_judgment
    from measured
),

final as (
    select
        measure,
        pairs,
        of_pairs,
        pairs / nullif(of_pairs, 0) as share
    from described
    unpivot (
        pairs for measure in (
            seen_at_several_positions, clicked, with_features, with_judgment
        )
    )
)

select * from final
