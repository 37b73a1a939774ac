-- Gives a dead job another life. ARGV: id. Reply: 1, or 0 when it is not among the dead.

local ID = ARGV[1]
local s = state(ID)
if not s or redis.call('ZREM', DEAD, ID) == 0 then return 0 end
s.attempts = 0
-- Its key is its own again, unless another job has it by now.
if s.key ~= '' then
  if redis.call('HSETNX', ONCE, s.key, ID) == 1 or redis.call('HGET', ONCE, s.key) == ID then
    redis.call('ZREM', RECENT, s.key)
  else
    s.key = ''
  end
end
keep(ID, s)
redis.call('HDEL', ERRORS, ID)
ready(ID, s)
return 1
