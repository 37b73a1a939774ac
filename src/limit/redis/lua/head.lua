-- What all scripts of the limiter share. KEYS are accounts; ARGV[1] has what is asked of each, one after the other; ARGV[2] is the
-- time in milliseconds, where it is not to be the server's.
--
-- What is counted, and when it is counted no more, is the arithmetic of src/quota, line for line, on integers below 2^53. What can be
-- told of it (how much remains, and from when on) is told there: the reply has the numbers.
--
-- Every state has a version, the moment at which its key expires, `since` and `newest`: I1 I6 I7 I6.
--
-- A script has few functions and no tables, since making them anew for each call takes as long as what they do.

local MOST, VERSION = 2 ^ 48 - 1, 1
-- What is told of a key begins with one of these. Where something was written, it is the state.
local TAKEN, OPEN = VERSION, 0
-- What is to be done: say whether the cost is to be had, look, take it if it is, take it in any case.
local CHECK, LOOK, TAKE, ANYHOW = 0, 1, 2, 3
local every, pack, unpack, floor = unpack, struct.pack, struct.unpack, math.floor
-- How many keys the check has from here on, whether the key came before, the algorithm by its letter, limit, capacity, window, cost, and
-- the cost with that of those before it in the check on the same key.
local CLAIM, CLAIM_BYTES = '<I1I1I1I6I6I6I7I7', 35

local now, least = ARGV[2], 1
if now then
  -- Keys live by the server's clock all the same.
  now, least = tonumber(now), 3600000
else
  local time = redis.call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

-- How many keys had something that is no state. It is replaced: what cannot be read cannot be counted.
local spoilt = 0
local function no_state(answer, ...)
  -- What failed for another reason fails again, and says so.
  if type(answer) == 'table' and not string.find(answer.err, 'WRONGTYPE', 1, true) then redis.call(...) end
  spoilt = spoilt + 1
end

-- A state of so many bytes, if there is one: what was `seen` under the key, or else what is there now.
local function found(key, size, seen)
  local state = seen or redis.pcall('GET', key)
  if not state then return nil end
  if type(state) == 'string' and #state == size and string.byte(state) == VERSION then return state end
  return no_state(state, 'GET', key)
end

-- When a key expires that matters until `last`, and how long that is, if it does so too early. It lives for up to twice as long, so that
-- it is not told anew with every take.
local function lives(expiry, at, last)
  if expiry >= last then return expiry end
  if last > at + 4e11 then last = at + 4e11 end
  expiry = 2 * last - at
  if expiry > MOST then expiry = MOST end
  return expiry, math.max(expiry - now, least)
end

local function write(key, state, life)
  if life then
    redis.call('SET', key, state, 'PX', life)
  else
    redis.call('SET', key, state, 'KEEPTTL')
  end
end
