-- What a formula says, in words, for who hears the page: of the LaTeX that our notebooks use.

local WORDS = {
  ["+"] = "plus", ["-"] = "minus", ["="] = "equals", ["<"] = "less than", [">"] = "more than", ["/"] = "over",
  ["%"] = "per cent", ["|"] = "given",
  ["("] = "open bracket", [")"] = "close bracket", ["["] = "open bracket", ["]"] = "close bracket",
  times = "times", cdot = "times", pm = "plus or minus", le = "at most", leq = "at most", ge = "at least",
  geq = "at least", ["in"] = "in", mid = "given", infty = "infinity", Delta = "the change of", log = "the logarithm of",
  exp = "the exponential of", to = "to", alpha = "alpha", beta = "beta", gamma = "gamma", theta = "theta", tau = "tau",
}
local ABOVE = { hat = "hat", bar = "bar", tilde = "tilde" }
local AS_IS = { text = true, mathrm = true, mathcal = true, mathit = true, operatorname = true }
local SILENT = { left = true, right = true, qquad = true, quad = true, [","] = true, [";"] = true, ["!"] = true, ["\\"] = true }

local M = {}

-- Signs and commands of a formula, in order; braces are left to `read`.
local function tokens(tex)
  local found, at = {}, 1
  while at <= #tex do
    local token = tex:match("^\\%a+", at) or tex:match("^\\.", at) or tex:match("^%d[%d.]*", at) or tex:match("^%s+", at)
      or tex:match("^[%z\1-\127\194-\244][\128-\191]*", at)
    at = at + #token
    if not token:find("^%s") then
      found[#found + 1] = token
    end
  end
  return found
end

-- The text between braces as it is written.
local function verbatim(tex, name)
  return tex:gsub("\\" .. name .. "%s*(%b{})", function(group)
    return " \2" .. group:sub(2, -2):gsub(" ", "\3") .. "\2 "
  end)
end

-- A formula in words; a command that has none stops the report.
function M.words(tex)
  for name in pairs(AS_IS) do
    tex = verbatim(tex, name)
  end
  local list, at = tokens(tex), 1
  local read

  local function group()
    if list[at] ~= "{" then
      return read(true)
    end
    at = at + 1
    local parts = {}
    while list[at] and list[at] ~= "}" do
      parts[#parts + 1] = read()
    end
    at = at + 1
    return table.concat(parts, " ")
  end

  -- What stands below or above a sign: "over" of a sum, "sub" of a letter.
  local function scripts(name, below)
    local said = name
    while list[at] == "_" or list[at] == "^" do
      local sign = list[at]
      at = at + 1
      said = said .. (sign == "_" and " " .. below .. " " or " to the power ") .. group()
    end
    return said
  end

  function read(alone)
    local token = list[at]
    at = at + 1
    if token == nil then
      error("a formula ends too early: " .. tex, 0)
    elseif token == "\2" then
      local said = {}
      while list[at] ~= "\2" do
        said[#said + 1], at = list[at], at + 1
      end
      at = at + 1
      local text = table.concat(said):gsub("\3", " ")
      return alone and text or scripts(text, "sub")
    elseif token == "{" then
      at = at - 1
      return group()
    end
    local name = token:match("^\\(.+)$")
    if name == "frac" then
      local above, below = group(), group()
      return above:find(" ") and "the fraction of " .. above .. ", over " .. below .. "," or above .. " over " .. below
    elseif name == "sqrt" then
      return "the square root of " .. group()
    elseif name == "sum" then
      return scripts("the sum", "over") .. " of"
    elseif name and ABOVE[name] then
      return scripts(group() .. " " .. ABOVE[name], "sub")
    elseif name and SILENT[name] then
      return ""
    elseif name and not WORDS[name] and #name > 1 then
      error(string.format("a formula has \\%s, for which there are no words; add it to filter_math.lua or write it in "
        .. "another way: %s", name, tex), 0)
    end
    local said = WORDS[name or token] or name or token
    return alone and said or scripts(said, "sub")
  end

  local parts = {}
  while list[at] do
    parts[#parts + 1] = read()
  end
  local said = " " .. table.concat(parts, " ") .. " "
  said = said:gsub("%s+", " "):gsub(" ([,.])", "%1"):gsub("([,.])[,.]+", "%1")
  return (said:gsub("^%s+", ""):gsub("[,%s]+$", ""))
end

return M
