// The scripts that Redis runs: each looks at and changes several keys in one step. Bytes go in and out; nothing is computed of them.

/** Fields of the head, a hash: marker, generation, sequence, version, layouts, newest, paused; of a layout: "w <id>" its watermark, "g <id>" the generation of its ids, "u <id>" when it was last used. */

/**
 * One transaction's keys. KEYS: head, pending, then of each layout its two sets of ids and its keys. ARGV: pending field, id, number of layouts,
 * then of each its name and number of keys. Answers marker, version, pending record, then of each layout watermark, seen, blobs.
 */
export const READ = `
local head = redis.call('HMGET', KEYS[1], 'marker', 'version')
local out = { head[1], head[2], redis.call('HGET', KEYS[2], ARGV[1]) }
local k, a = 3, 4
for _ = 1, tonumber(ARGV[3]) do
  local count = tonumber(ARGV[a + 1])
  out[#out + 1] = redis.call('HGET', KEYS[1], 'w ' .. ARGV[a])
  local seen = redis.call('SISMEMBER', KEYS[k], ARGV[2]) + redis.call('SISMEMBER', KEYS[k + 1], ARGV[2])
  out[#out + 1] = seen > 0 and 1 or 0
  k = k + 2
  if count > 0 then
    local blobs = redis.call('MGET', unpack(KEYS, k, k + count - 1))
    for i = 1, count do out[#out + 1] = blobs[i] end
  end
  k = k + count
  a = a + 2
end
return out
`;

/**
 * One change, whole or not at all. KEYS as for READ. ARGV: marker, version, largest sequence known, pending limit, field ("" for a label), id,
 * record, lateness, half the limit of ids, number of layouts; then of each: name, event time learned or "", largest watermark or "",
 * seen, number of keys; and of each key: version read, whether it changes, new bytes.
 */
export const APPLY = `
local head = redis.call('HMGET', KEYS[1], 'marker', 'version', 'sequence', 'paused')
if head[1] ~= ARGV[1] or tonumber(head[3]) < tonumber(ARGV[3]) then return { 'lost' } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if head[4] and now < tonumber(head[4]) then return { 'paused' } end
if head[2] ~= ARGV[2] then return { 'layouts' } end
if ARGV[5] ~= '' then
  local pending = redis.call('HGET', KEYS[2], ARGV[5])
  if pending then return { 'repeated', pending } end
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) then return { 'full' } end

local layouts = tonumber(ARGV[10])
local k, a = 3, 11
for _ = 1, layouts do
  local watermark = redis.call('HGET', KEYS[1], 'w ' .. ARGV[a])
  if watermark and ARGV[a + 2] ~= '' and tonumber(watermark) > tonumber(ARGV[a + 2]) then return { 'conflict' } end
  if ARGV[6] ~= '' then
    local seen = redis.call('SISMEMBER', KEYS[k], ARGV[6]) + redis.call('SISMEMBER', KEYS[k + 1], ARGV[6])
    if (seen > 0) ~= (ARGV[a + 3] == '1') then return { 'conflict' } end
  end
  local count = tonumber(ARGV[a + 4])
  k = k + 2
  a = a + 5
  for i = 0, count - 1 do
    if redis.call('GETRANGE', KEYS[k + i], 0, 7) ~= ARGV[a + 3 * i] then return { 'conflict' } end
  end
  k = k + count
  a = a + 3 * count
end

local sequence = redis.call('HINCRBY', KEYS[1], 'sequence', 1)
local version = struct.pack('>d', sequence)
k, a = 3, 11
for _ = 1, layouts do
  local name, learnedAt, count = ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 4])
  local current, previous = KEYS[k], KEYS[k + 1]
  if learnedAt ~= '' then
    local watermark = redis.call('HGET', KEYS[1], 'w ' .. name)
    if not watermark or tonumber(learnedAt) > tonumber(watermark) then
      local newest = redis.call('HGET', KEYS[1], 'newest')
      if not newest or tonumber(learnedAt) > tonumber(newest) then redis.call('HSET', KEYS[1], 'newest', learnedAt) end
      redis.call('HSET', KEYS[1], 'w ' .. name, learnedAt)
      local generation = math.floor(tonumber(learnedAt) / tonumber(ARGV[8]))
      local known = tonumber(redis.call('HGET', KEYS[1], 'g ' .. name) or '-1e300')
      if generation > known then
        redis.call('UNLINK', previous)
        if generation == known + 1 and redis.call('EXISTS', current) == 1 then redis.call('RENAME', current, previous)
        else redis.call('UNLINK', current) end
        redis.call('HSET', KEYS[1], 'g ' .. name, string.format('%.0f', generation))
      end
    end
    if redis.call('SCARD', current) >= tonumber(ARGV[9]) then redis.call('RENAME', current, previous) end
    redis.call('SADD', current, ARGV[6])
  end
  k = k + 2
  a = a + 5
  for i = 0, count - 1 do
    if ARGV[a + 3 * i + 1] == '1' then redis.call('SET', KEYS[k + i], version .. ARGV[a + 3 * i + 2]) end
  end
  k = k + count
  a = a + 3 * count
end
local field = ARGV[5]
if field == '' then field = string.format('l %.0f', sequence) end
redis.call('HSET', KEYS[2], field, version .. struct.pack('>d', now) .. ARGV[7])
return { 'applied', sequence }
`;

/** KEYS: head. ARGV: marker replaced or "", marker, generation, sequence. */
export const BEGIN = `
local marker = redis.call('HGET', KEYS[1], 'marker') or ''
if marker ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'marker', ARGV[2], 'generation', ARGV[3], 'sequence', ARGV[4], 'version', '0', 'layouts', '[]')
return 1
`;

/** KEYS: head, the layout's two sets of ids. ARGV: marker, sequence, layouts seen, layouts from now on, name, watermark or "", generation of ids or "". */
export const ADD = `
local head = redis.call('HMGET', KEYS[1], 'marker', 'sequence', 'layouts')
if head[1] ~= ARGV[1] or tonumber(head[2]) ~= tonumber(ARGV[2]) or head[3] ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'layouts', ARGV[4])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'w ' .. ARGV[5], ARGV[6])
  local newest = redis.call('HGET', KEYS[1], 'newest')
  if not newest or tonumber(ARGV[6]) > tonumber(newest) then redis.call('HSET', KEYS[1], 'newest', ARGV[6]) end
end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'g ' .. ARGV[5], ARGV[7]) end
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HDEL', KEYS[1], 'paused')
return 1
`;

/** KEYS: head. ARGV: ms. */
export const PAUSE = `
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'paused', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])))
return 1
`;

/** KEYS: pending. ARGV: field or "" for all. Answers the time in ms, then fields and records. */
export const PENDING = `
local time = redis.call('TIME')
local out = { string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)) }
local all
if ARGV[1] == '' then all = redis.call('HGETALL', KEYS[1])
else all = { ARGV[1], redis.call('HGET', KEYS[1], ARGV[1]) } end
for i = 1, #all do out[i + 1] = all[i] end
return out
`;

/** KEYS: lock. ARGV: token, ms; 0 ms releases. */
export const EXTEND = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`;

/**
 * KEYS: head, lock, keys to look at. ARGV: where in a value its newest time begins (from 0); then of each key its layout and its retention,
 * "" when unknown. A layout that is being filled is in no list yet, but its filler holds the lock.
 */
export const SWEEP = `
local layouts = redis.call('HGET', KEYS[1], 'layouts') or ''
local filling = redis.call('EXISTS', KEYS[2]) == 1
local from = tonumber(ARGV[1])
local gone = 0
for i = 3, #KEYS do
  local id, retention = ARGV[2 * i - 4], ARGV[2 * i - 3]
  local void = false
  if string.find(layouts, '"id":"' .. id .. '"', 1, true) then
    local watermark = redis.call('HGET', KEYS[1], 'w ' .. id)
    local newest = redis.call('GETRANGE', KEYS[i], from, from + 7)
    void = watermark and retention ~= '' and #newest == 8
      and struct.unpack('<d', newest) <= tonumber(watermark) - tonumber(retention)
  else void = not filling end
  if void then gone = gone + redis.call('UNLINK', KEYS[i]) end
end
return gone
`;

/** KEYS: head. ARGV: layouts in use. Answers the time in ms, the list of layouts, and of each in turn when it was last used. */
export const USE = `
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for i = 1, #ARGV do redis.call('HSET', KEYS[1], 'u ' .. ARGV[i], now) end
local layouts = redis.call('HGET', KEYS[1], 'layouts')
local out = { now, layouts }
for _, layout in ipairs(cjson.decode(layouts or '[]')) do
  if redis.call('HSETNX', KEYS[1], 'u ' .. layout.id, now) == 1 then out[#out + 1] = now
  else out[#out + 1] = redis.call('HGET', KEYS[1], 'u ' .. layout.id) end
end
return out
`;

/** KEYS: head, sets of ids. ARGV: layouts seen, layouts from now on, then the ones that go. */
export const RETIRE = `
if redis.call('HGET', KEYS[1], 'layouts') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'layouts', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'version', 1)
for i = 3, #ARGV do redis.call('HDEL', KEYS[1], 'w ' .. ARGV[i], 'g ' .. ARGV[i], 'u ' .. ARGV[i]) end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
`;
