-- The worked example of docs/lookup.md: comments on articles, in tables of another application.
CREATE SCHEMA press;
CREATE TABLE press.people (person bigint PRIMARY KEY, full_name text NOT NULL);
CREATE TABLE press.articles (article bigint PRIMARY KEY, headline text NOT NULL);
CREATE TABLE press.comments (
    comment bigint PRIMARY KEY,
    article bigint NOT NULL REFERENCES press.articles,
    writer bigint REFERENCES press.people,  -- NULL: a guest
    words text NOT NULL,
    rating numeric(4, 2),
    is_hidden boolean NOT NULL DEFAULT false,
    written_at timestamptz NOT NULL
);
