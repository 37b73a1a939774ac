-- Removes entries that are of no use.
-- KEYS: index. ARGV: time in milliseconds ('' for the server's), how old an entry must be, entries.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
for at = 3, #ARGV do
  if struct.unpack('<I6', ARGV[at], 33) + tonumber(ARGV[2]) <= now then redis.call('ZREM', KEYS[1], ARGV[at]) end
end
return 1
