-- Purpose: a grade is a whole number from 0, never missing.
-- Columns:
--   query_id: the query
--   doc_id: the document
--   grade: the grade as stored

with judged as (
    select * from judgments
),

final as (
    select
        query_id,
        doc_id,
        grade
    from judged
    where coalesce(grade < 0, true)
)

select * from final
