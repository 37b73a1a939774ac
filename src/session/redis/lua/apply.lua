-- Changes a record that is there, and touches it.
-- KEYS: record. ARGV: time, token of the change ('' for none), generation, most weight, what is expected of a field ('' for nothing, `a` for
-- absent, `p` for present), that field, its value, rotation ('' for none), whether all fields go ('' for no), then by three what is
-- done: operation, field, value.

local head, why = read()
if not head then return { why } end

-- In a Cluster a call may arrive twice: what was done lately is known by its token. Tokens are in the order of their times.
local token, tokens = ARGV[2], head.tokens
local rest = head.length - #tokens
if token ~= '' and find(tokens, token, 1, true) then return { DONE, now, text(head) } end
local from = math.max(1, #tokens - 249 * TOKEN + 1)
while from < #tokens and unpack('<I6', tokens, from + 8) + 10000 <= now do from = from + TOKEN end
tokens = sub(tokens, from)
if token ~= '' then tokens = tokens .. token .. pack('<I6', now) end
head.tokens = tokens

if head.generation ~= tonumber(ARGV[3]) then return { SUPERSEDED } end
if ARGV[5] ~= '' then
  local value = redis.call('HGET', key, ARGV[6])
  if value ~= (ARGV[5] == 'p' and ARGV[7]) then return { DIFFERS, value } end
end

-- What is to be done, and what the fields weigh then.
local before, clear = head.weight, ARGV[9] ~= ''
local weight, weights, steps = clear and 0 or before, {}, {}

-- The weight of a field whose value is so long.
local function weigh(field, length)
  local kind = byte(field)
  if kind == 118 then return #field - 1 + length end
  if kind == 99 then return #field + 7 end
  return #field - (find(field, ':', 1, true) or 0)
end
local function weighs(field)
  if weights[field] then return weights[field] end
  if clear then return 0 end
  local length = redis.call('HSTRLEN', key, field)
  if length == 0 and redis.call('HEXISTS', key, field) == 0 then return 0 end
  return weigh(field, length)
end
local function step(operation, field, value)
  local after = operation == 'd' and 0 or weigh(field, #value)
  weight = weight - weighs(field) + after
  weights[field] = after
  steps[#steps + 1] = { operation, field, value }
end

for at = 10, #ARGV, 3 do
  local operation, field, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if operation == 'c' then
    local old = not clear and redis.call('HGET', key, field) or '0'
    local opposite = value
    if byte(value) == 45 then
      opposite = sub(value, 2)
    elseif value ~= '0' then
      opposite = '-' .. value
    end
    -- Doubles do not hold every sum; that it is zero is seen without one.
    step(old == opposite and 'd' or 'c', field, value)
  elseif operation == 'e' then
    if not clear then
      for _, member in ipairs(redis.call('HKEYS', key)) do
        if sub(member, 1, #field) == field then step('d', member) end
      end
    end
  else
    step(operation, field, value)
  end
end
if weight > math.max(tonumber(ARGV[4]), before) then return { TOO_LARGE } end
head.weight = weight

-- As `Changes::touch`.
head.seen = now
local retired, count, nothing = '', 0, ''
local rotation = ARGV[8]
local kind, old, to, overlap = sub(rotation, 1, 1)
if kind == 'n' then
  old, to, overlap = unpack('<c32c32I6', rotation, 2)
elseif kind == 'r' then
  to, overlap = unpack('<c32I6', rotation, 2)
end
local swaps = kind == 'r' or (kind == 'n' and old == head.secret)
local function retire(secret, until_, shows)
  if count == 4 then return end
  retired, count = retired .. secret .. pack('<I6B', until_, shows), count + 1
end
if swaps then retire(head.secret, plus(now, overlap), kind == 'r' and 1 or 0) end
for at = 1, #head.retired, RETIRED do
  local secret, until_, shows = unpack('<c32I6B', head.retired, at)
  if now < until_ then retire(secret, until_, kind == 'r' and 1 or shows) end
end
head.retired = retired
if swaps then head.secret, head.renewed = to, now end
if kind == 'r' then
  local is_logged_in
  head.idle, head.absolute, head.flags, is_logged_in = unpack('<I6I6BB', rotation, 40)
  head.client = sub(rotation, 54)
  head.generation = plus(head.generation, 1)
  head.authenticated = is_logged_in == 1 and now or 0
  head.ends = plus(now, head.absolute)
end

local after = text(head)
-- Tokens are no growth: they are few, and soon forgotten.
if weight > before or #after - #tokens > rest then
  local written = redis.pcall('HSET', key, 'h', after)
  -- A full server says no to the first write, or to none.
  if type(written) == 'table' then return written end
else
  -- To shrink is always possible: what a full server allows as the first write lets it allow the others.
  live(head)
end
if clear then redis.call('DEL', key) end
redis.call('HSET', key, 'h', after)
for _, it in ipairs(steps) do
  local operation, field, value = it[1], it[2], it[3]
  if operation == 'd' then
    redis.call('HDEL', key, field)
  elseif operation == 'v' then
    redis.call('HSET', key, field, value)
  else
    local sum = redis.pcall('HINCRBY', key, field, value)
    if type(sum) == 'table' then
      -- The sum stays within 64 bits, at its end. What was no number was nothing.
      if find(sum.err, 'overflow', 1, true) then
        value = byte(value) == 45 and '-9223372036854775808' or '9223372036854775807'
      end
      redis.call('HSET', key, field, value)
    end
  end
end
live(head)
return { DONE, now, after }
