-- Makes the replaced system's tables fit for a demo: no like satisfies the swapped foreign keys, and posts need users.
ALTER TABLE likes DROP CONSTRAINT likes_user_id_fkey, DROP CONSTRAINT likes_post_id_fkey;
INSERT INTO users (username, password_hash)
SELECT username, 'nobody logs in here'
FROM unnest(ARRAY[
    'juniper', 'tidepool', 'inkwell', 'copperkettle', 'slowtrain', 'papercrane', 'northlight', 'mothandlamp'
]) AS username;
