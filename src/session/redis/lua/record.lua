-- What the scripts of a record share. KEYS[1] is the record, a hash; ARGV[1] is the time in milliseconds, where it is not to be the
-- server's. The fields are in the module's documentation.
--
-- The head, in the field `h`: 90 bytes as in LAYOUT (version, flags, how many retired secrets, how many tokens of changes; generation,
-- created, seen, renewed, authenticated or 0, idle, absolute, ends, weight of the fields; the secret's digest), then the retired secrets (digest, until,
-- what it shows), the tokens (8 bytes, time), and what is known of the client, which scripts pass on as it is.

local LAYOUT, VERSION = '<BBBBI6I6I6I6I6I6I6I6I6c32', 1
local FIXED, RETIRED, TOKEN = 90, 39, 14
local MOST = 2 ^ 48 - 1
local MISSING, SPOILT, SUPERSEDED, DIFFERS, TOO_LARGE, TAKEN, DONE = 0, 1, 2, 3, 4, 5, 6
local pack, unpack, sub, byte, find = struct.pack, struct.unpack, string.sub, string.byte, string.find

local key, now = KEYS[1], tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- `at` and `span` more.
local function plus(at, span)
  return math.min(at + span, MOST)
end

-- From this moment on the record is no more.
local function expires(head)
  return math.min(plus(head.seen, head.idle), head.ends)
end

-- The head, or why there is none.
local function read()
  local text = redis.pcall('HGET', key, 'h')
  if type(text) == 'table' then
    -- Any other failure is raised.
    if not find(text.err, 'WRONGTYPE', 1, true) then redis.call('HGET', key, 'h') end
    return nil, SPOILT
  end
  if not text then return nil, redis.call('EXISTS', key) == 1 and SPOILT or MISSING end
  if #text < FIXED or byte(text) ~= VERSION then return nil, SPOILT end
  local head, retired, tokens, _ = { length = #text }
  _, head.flags, retired, tokens, head.generation, head.created, head.seen, head.renewed, head.authenticated, head.idle, head.absolute,
    head.ends, head.weight, head.secret = unpack(LAYOUT, text)
  local from = FIXED + RETIRED * retired
  local rest = from + TOKEN * tokens
  if #text < rest then return nil, SPOILT end
  head.retired, head.tokens, head.client = sub(text, FIXED + 1, from), sub(text, from + 1, rest), sub(text, rest + 1)
  -- The server's clock may have been set back since.
  now = math.max(now, head.seen)
  if expires(head) > now then return head end
  redis.call('DEL', key)
  return nil, MISSING
end

local function text(head)
  return pack(LAYOUT, VERSION, head.flags, #head.retired / RETIRED, #head.tokens / TOKEN, head.generation, head.created, head.seen,
    head.renewed, head.authenticated, head.idle, head.absolute, head.ends, head.weight, head.secret)
    .. head.retired .. head.tokens .. head.client
end

-- Ends every script that writes, so that there is never a key without time to live: this sets it, or removes the key.
local function live(head)
  local last = expires(head)
  if last <= now then
    redis.call('DEL', key)
  elseif ARGV[1] == '' then
    -- A key is still there at the moment it expires, a session is not.
    redis.call('PEXPIREAT', key, string.format('%.0f', last - 1))
  else
    redis.call('PEXPIRE', key, string.format('%.0f', math.max(last - now, 3600000)))
  end
end
