-- Removes everything in the bucket on a server that has no memory left for a name: only deletes.
-- KEYS: table, stamp.

redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', KEYS[2], 'g')
return ''
