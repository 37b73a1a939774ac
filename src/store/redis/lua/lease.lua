-- Anything but the value with the sequence `seen`, or the right to make it.
-- KEYS: table, stamp, entry, lease. ARGV: fresh epoch, ttl, nonce, lease ms, seen ('' for none), resource, the nonce of the lease that
-- was waited for ('' for none), ms of doubt.

local ENTRY, LEASE = KEYS[3], KEYS[4]
local FRESH, TTL, NONCE, MS, SEEN, RESOURCE = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local WAITED = ARGV[7]
local FIXED = 40

local epoch, floor, last = open(FRESH, TTL, tonumber(ARGV[8]))
local run = server()

-- The sequence of the entry, if it is one and stands.
local function standing()
  local fixed = redis.pcall('GETRANGE', ENTRY, 0, FIXED - 1)
  if type(fixed) ~= 'string' or #fixed < FIXED or string.sub(fixed, 1, 3) ~= 'bz\1' then return nil end
  local body, head, of, sequence = struct.unpack('<I4I4I8I8', fixed, 5)
  if text(of) ~= epoch or sequence < floor then return nil end
  if sequence >= last then return sequence end
  local part = redis.call('GETRANGE', ENTRY, FIXED + body, FIXED + body + head - 1)
  local names, at = { RESOURCE }, 1
  local function number()
    local value, shift, byte = 0, 1, nil
    repeat
      byte = string.byte(part, at)
      if not byte or shift > 2 ^ 28 then return nil end
      value, shift, at = value + byte % 128 * shift, shift * 128, at + 1
    until byte < 128
    return value
  end
  local count = number()
  if not count then return nil end
  for _ = 1, count do
    local length = number()
    if not length or at + length - 1 > #part then return nil end
    names[#names + 1] = '#' .. string.sub(part, at, at + length - 1)
    at = at + length
  end
  if removed(names, sequence) then return nil end
  return sequence
end

local found = standing()
if found and text(found) ~= SEEN then
  return { 'found', redis.call('GET', ENTRY), epoch .. ':' .. text(last), run }
end

local l = redis.call('HMGET', LEASE, 'n', 'e', 's', 'r', 'v', 'o', 'd')
if l[6] and l[6] == WAITED then return { 'ended', l[7], run } end
if l[1] and l[2] == epoch and l[4] == run and tonumber(l[3]) >= floor and not removed({ RESOURCE }, tonumber(l[3])) then
  if l[1] ~= NONCE then
    redis.call('HSET', LEASE, 'w', '1')
    return { 'busy', redis.call('PTTL', LEASE), l[1], run }
  end
  -- The same call, sent twice.
  return { 'won', epoch, l[3], run, found and text(found) or '' }
end

local sequence = text(redis.call('HINCRBY', TABLE, 's', 1))
finish(LEASE, ENTRY, 'r')
redis.call('HSET', LEASE, 'n', NONCE, 'e', epoch, 's', sequence, 'r', run, 'v', not l[1] and l[5] or '0')
redis.call('PEXPIRE', LEASE, MS)
return { 'won', epoch, sequence, run, found and text(found) or '' }
