-- Small hashes and sorted sets are kept as lists with linear search. `claims`, `active` and `running` hover
-- around the size at which that changes; one member longer than the list's element limit
-- (64 bytes) keeps them hash tables. It is written with every batch, so that it survives a
-- FLUSHALL, and its deadline is never reached.
-- shares: SENTINEL
local SENTINEL = '~sentinel: keeps this key a hash table, see docs/redis-layout.md ~~~~~~'
