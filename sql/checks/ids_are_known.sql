-- Purpose: every id of the sessions stands in queries or documents.
-- Columns:
--   kind: query or document
--   id: the id without a row
--   impressions: how often it was shown

with shown as (
    select * from impressions
),

known_queries as (
    select * from queries
),

known_documents as (
    select * from documents
),

unknown_queries as (
    select
        'query' as kind,
        query_id as id,
        count(*) as impressions
    from shown
    anti join known_queries using (query_id)
    group by query_id
),

unknown_documents as (
    select
        'document' as kind,
        doc_id as id,
        count(*) as impressions
    from shown
    anti join known_documents using (doc_id)
    group by doc_id
),

final as (
    select * from unknown_queries
    union all
    select * from unknown_documents
)

select * from final
