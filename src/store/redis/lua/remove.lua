-- Removes what bears a name.
-- KEYS: table, stamp, and the entry that has it for its own name, if there is one. ARGV: fresh epoch, ttl of the table, name, most names, token, ms of doubt.

remove(ARGV[3], ARGV[5], tonumber(ARGV[4]), ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[6]))
if KEYS[3] then redis.call('UNLINK', KEYS[3]) end
return server()
