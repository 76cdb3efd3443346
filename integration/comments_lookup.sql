-- Comments on articles, as clients see them. A hidden comment has no payload and counts as missing.
SELECT c.comment AS id,
       CASE WHEN NOT c.is_hidden THEN json_build_object(
           'id', c.comment,
           'article', json_build_object('id', a.article, 'headline', a.headline),
           'writer', coalesce(p.full_name, 'a guest'),  -- 'unknown' is what :ids of guests were called before
           'words', c.words,
           'rating', c.rating,
           'written_at', to_char(c.written_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
       ) END AS payload,
       c.writer AS author
FROM press.comments c
JOIN press.articles a USING (article)
LEFT JOIN press.people p ON p.person = c.writer
WHERE c.comment = ANY(:ids)
