-- What is known of a job. ARGV: id. Reply: where it is, attempts, priority, value, reason, progress; nothing if there is none.

local ID = ARGV[1]
local s = state(ID)
if not s then return false end
local where = 'lost'
for word, set in pairs({ ready = READY, delayed = DELAYED, claimed = CLAIMED, dead = DEAD }) do
  if redis.call('ZSCORE', set, ID) then where = word end
end
return {
  where, s.attempts, s.priority, redis.call('HGET', JOBS, ID), redis.call('HGET', ERRORS, ID), redis.call('HGET', PROGRESS, ID),
}
