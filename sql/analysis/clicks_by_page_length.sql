-- Purpose: clicks per page by number of documents shown: short pages are often another product.
-- Columns:
--   documents: documents on the page
--   sessions: pages of this length
--   clicks_per_session: mean number of clicked documents
--   zero_click_rate: share of pages without a click
--   several_clicks_rate: share of pages with more than one click
--   mean_first_click: mean rank of the first click, where there is one

with pages as (
    select * from sessions
),

described as (
    select
        len(doc_id) as documents,
        list_sum(click) as clicks,
        -- Documents stand in the order of their ranks.
        "position"[list_position(click, 1)] as first_click
    from pages
),

final as (
    select
        documents,
        count(*) as sessions,
        avg(clicks) as clicks_per_session,
        avg((clicks = 0)::integer) as zero_click_rate,
        avg((clicks > 1)::integer) as several_clicks_rate,
        avg(first_click) as mean_first_click
    from described
    group by documents
)

select * from final
order by documents
