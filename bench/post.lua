-- For wrk: posts prepared bodies (one a line of the file given first) in turn and prints one JSON
-- object. With a second argument each connection waits, on average, that many ms before a request.
local bodies, at, wait = {}, 0, nil

function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16) % 2147483647)
  at = math.random(#bodies)
  if args[2] then
    wait = tonumber(args[2])
    -- Exponential, so that connections do not fall into step.
    delay = function() return math.floor(-math.log(1 - math.random()) * wait + 0.5) end
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.4f, "bytes": %d, "p50": %.7f, "p99": %.7f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e6,
    latency:percentile(99) / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
