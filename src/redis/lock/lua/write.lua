-- Writes a value, or only reads it, as the newest holder there was. KEYS: value. ARGV: token, value (none to read). Reply: 'accepted', what
-- there was; or 'refused', the token of a newer holder.
-- The value is a hash: t, the token of the newest holder; v, what was written last.

local VALUE, TOKEN = KEYS[1], ARGV[1]

local there = redis.pcall('HMGET', VALUE, 't', 'v')
if there.err then return redis.error_reply('WRONGTYPE ' .. VALUE .. ' holds what is no fenced value') end
local newest = there[1]

-- Number, and both halves of the nonce; text is compared by the server's locale.
local function parts(token)
  local number, high, low = string.match(token, '^(%d+)%-(%x%x%x%x%x%x%x%x)(%x%x%x%x%x%x%x%x)$')
  if number then return { tonumber(number), tonumber(high, 16), tonumber(low, 16) } end
end

if newest then
  local theirs, ours = parts(newest), parts(TOKEN)
  if not theirs then return redis.error_reply('ERR ' .. VALUE .. ' has a fence that is no token') end
  for at = 1, 3 do
    if theirs[at] > ours[at] then return { 'refused', newest } end
    if theirs[at] < ours[at] then break end
  end
end
redis.call('HSET', VALUE, 't', TOKEN)
if ARGV[2] then redis.call('HSET', VALUE, 'v', ARGV[2]) end
return { 'accepted', there[2] }
