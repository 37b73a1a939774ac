-- Keeps a value, while the lease stands.
-- KEYS: table, stamp, entry, lease. ARGV: nonce, epoch, sequence, server, ttl of the value, ttl of the table, what is new of
-- the value (see below), the rest of it, the seen sequence, word, names it bears.
--
-- The value is whole, and the seen sequence empty; or it is only a head, in two parts, for the body of the value with that
-- sequence; or it is empty, because it is too large to be kept, and the word says so to those who wait.

local ENTRY, LEASE = KEYS[3], KEYS[4]
local NONCE, EPOCH, SEQUENCE, RUN, MS, TTL = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local VALUE, HEAD, SEEN, WORD = ARGV[7], ARGV[8], ARGV[9], ARGV[10]

if not standing_lease(LEASE, NONCE, EPOCH, SEQUENCE, RUN, names_from(11)) then
  if holder(LEASE) == NONCE then finish(LEASE, ENTRY, 'r') end
  return { 'superseded', server() }
end

if SEEN ~= '' then
  local fixed = redis.pcall('GETRANGE', ENTRY, 0, 39)
  if type(fixed) ~= 'string' or #fixed < 40 or string.sub(fixed, 1, 3) ~= 'bz\1' then return { 'gone', RUN } end
  local body, _, _, sequence = struct.unpack('<I4I4I8I8', fixed, 5)
  if text(sequence) ~= SEEN or redis.call('STRLEN', ENTRY) < 40 + body then return { 'gone', RUN } end
  redis.call('SETRANGE', ENTRY, 8, VALUE)
  redis.call('SETRANGE', ENTRY, 40 + body, HEAD)
  redis.call('PEXPIRE', ENTRY, MS)
elseif VALUE ~= '' then
  redis.call('SET', ENTRY, VALUE, 'PX', MS)
end
live(TABLE, TTL)
live(STAMP, TTL)
finish(LEASE, ENTRY, WORD)
return { 'stored', RUN }
