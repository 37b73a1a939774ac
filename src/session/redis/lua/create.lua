-- Begins a record, unless there is one.
-- KEYS: record. ARGV: time, what is known of the head (flags, whether somebody is logged in, idle, absolute, weight, secret, client), then
-- fields and their values.

if redis.call('EXISTS', key) == 1 then
  -- In a Cluster a call may arrive twice.
  local head = read()
  if head and head.generation == 0 and head.secret == sub(ARGV[2], 21, 52) then return { DONE, now, text(head) } end
  return { TAKEN }
end

local head = { generation = 0, created = now, seen = now, renewed = now, authenticated = 0, retired = '', tokens = '' }
local is_logged_in
head.flags, is_logged_in, head.idle, head.absolute, head.weight, head.secret = unpack('<BBI6I6I6c32', ARGV[2])
head.client = sub(ARGV[2], 53)
head.ends = plus(now, head.absolute)
if is_logged_in == 1 then head.authenticated = now end

local written = redis.pcall('HSET', key, 'h', text(head))
-- A full server says no to the first write, or to none.
if type(written) == 'table' then return written end
for at = 3, #ARGV, 2 do redis.call('HSET', key, ARGV[at], ARGV[at + 1]) end
live(head)
return { DONE, now, text(head) }
