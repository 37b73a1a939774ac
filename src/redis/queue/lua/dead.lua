-- The dead jobs, those that died last first. ARGV: how many at most. Reply: of each its id, attempts, priority, value, reason.

local reply = {}
for _, id in ipairs(redis.call('ZREVRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  local s = state(id)
  if s then
    for _, part in ipairs({ id, s.attempts, s.priority, redis.call('HGET', JOBS, id) or '', redis.call('HGET', ERRORS, id) or '' }) do
      reply[#reply + 1] = part
    end
  end
end
return reply
