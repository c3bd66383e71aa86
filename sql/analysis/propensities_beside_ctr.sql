-- Purpose: the propensities that runs learned beside the raw CTR curve, which mixes in relevance.
-- Parameters:
--   $run = null: only this run
-- Columns:
--   run: the run's folder, below --runs
--   context: bias context of the propensity, empty without
--   position: rank on the page, from 1
--   propensity: examination relative to the first rank, as the run learned it
--   ctr_relative: CTR of the lake relative to the first rank, over all contexts
--   ratio: ctr_relative / propensity: what is left for relevance, relative to the first rank

with learned as (
    select * from run_propensities
    where $run is null or run = $run
),

shown as (
    select * from exposures
),

rates as (
    select
        "position",
        sum(clicks) / sum(impressions) as ctr
    from shown
    group by "position"
),

relative as (
    select
        "position",
        ctr / nullif(first_value(ctr) over (order by "position"), 0) as ctr_relative
    from rates
),

final as (
    select
        learned.run,
        learned.context,
        learned."position",
        learned.propensity,
        relative.ctr_relative,
        relative.ctr_relative / nullif(learned.propensity, 0) as ratio
    from learned
    left join relative using ("position")
)

select * from final
order by run, context, "position"
