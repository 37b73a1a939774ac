-- Puts a value before all others of a list, which keeps its first.
-- KEYS: the list. ARGV: value, how many are kept, ms after which the list expires ('' never), 'd' if a value is in it once.

if ARGV[4] == 'd' then redis.call('LREM', KEYS[1], 0, ARGV[1]) end
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[2]) - 1)
if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
