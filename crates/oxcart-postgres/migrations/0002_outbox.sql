-- The outbox.

INSERT INTO oxcart.migration (version, name) VALUES (2, 'outbox');
