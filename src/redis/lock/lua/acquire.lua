-- Takes the lock if it is free, or is this call's already. KEYS: holder, token, wake. ARGV: nonce, ms to hold it, highest number seen by
-- the caller, ms to remember the number. Reply: 'won', the token; or 'busy', ms until it ends (-1: never, by itself).

local HOLDER, TOKEN, WAKE = KEYS[1], KEYS[2], KEYS[3]
local NONCE, MS, SEEN, MEMORY = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local MOST = 2 ^ 53 - 1

local function text(number)
  return string.format('%016.0f', number)
end

local held = redis.pcall('GET', HOLDER)
if type(held) == 'table' then return redis.error_reply('WRONGTYPE ' .. HOLDER .. ' holds what is no holder of a lock') end
if held and string.sub(held, 18) == NONCE then
  -- The same call, sent again.
  redis.call('PEXPIRE', HOLDER, MS)
  return { 'won', held }
end
if held then return { 'busy', redis.call('PTTL', HOLDER) } end

local last = redis.pcall('GET', TOKEN)
if type(last) == 'table' then return redis.error_reply('WRONGTYPE ' .. TOKEN .. ' holds what is no token of a lock') end
if last and not string.match(last, '^%d+$') then return redis.error_reply('ERR ' .. TOKEN .. ' is no number') end
local time = redis.call('TIME')
-- A counter begins anew when it is lost, a clock may be behind another; what has been seen is true of both.
local number = math.max(tonumber(last or '0') + 1, time[1] * 1000000 + time[2], SEEN + 1)
if number > MOST then return redis.error_reply('ERR ' .. TOKEN .. ' leaves no higher token') end

local token = text(number) .. '-' .. NONCE
redis.call('SET', HOLDER, token, 'PX', MS)
redis.call('SET', TOKEN, text(number), 'PX', MEMORY)
redis.call('DEL', WAKE)
return { 'won', token }
