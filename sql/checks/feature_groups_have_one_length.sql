-- Purpose: all rows of a group of features have as many values.
-- Columns:
--   feature_group: the group
--   shortest: least number of values, null where a row has none
--   longest: greatest number of values
--   rows: rows of the group

with stored as (
    select * from features
),

by_group as (
    select
        feature_group,
        if(count(features) = count(*), min(len(features)), null) as shortest,
        max(len(features)) as longest,
        count(*) as "rows"
    from stored
    group by feature_group
),

final as (
    select * from by_group
    where shortest is null or shortest != longest
)

select * from final
