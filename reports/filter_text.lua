-- Text: what typst could misread, where long tokens break, maths, verdict words.

local math_words = require("filter_math").words

local WORDS = { supported = true, contradicted = true, ["not-shown"] = true, ["not-testable"] = true, simulated = true }
local LONGEST_RUN = 16 -- characters of a long token without any separator

local M = {
  long_in_text = 36, -- tokens longer than this may break
  long_in_table = 18,
  beside = {}, -- the reports beside this one: name of the PDF by number
}

function M.fail(...)
  error(string.format(...), 0)
end

function M.raw(text)
  return pandoc.RawInline("typst", text)
end

function M.raw_block(text)
  return pandoc.RawBlock("typst", text)
end

-- A typst string literal: only these two characters are special in one.
function M.quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

-- Cut a long token where a reader expects a break: after / . _ - ? & = : or in a long run.
function M.fragments(text, long)
  if utf8.len(text) <= long then
    return { text }
  end
  local parts, part, run = {}, "", 0
  for _, code in utf8.codes(text) do
    local char = utf8.char(code)
    part, run = part .. char, run + 1
    if run >= LONGEST_RUN or (run > 2 and char:find("[/._%-?&=:,;]")) then
      parts[#parts + 1], part, run = part, "", 0
    end
  end
  if part ~= "" then
    parts[#parts + 1] = part
  end
  return parts
end

-- A hyphen that stands for minus, and the apostrophe, as a printer sets them.
local function typographic(text)
  text = text:gsub("^%-(%.?%d)", "−%1"):gsub("([%(%[{=<>,;|])%-(%.?%d)", "%1−%2")
  local _, apostrophes = text:gsub("'", "")
  if apostrophes == 1 then
    text = text:gsub("(%a)'", "%1’")
  end
  return text
end

-- What typst would take for a list, heading or term at the start of a line.
local function starts_markup(text)
  return text:find("^[-+/]$") or text:find("^=+$") or text:find("^%d+[.)]$")
end

-- A unit or a mark of provenance stays on the line of its number.
local function stays(element)
  if element == nil or element.t ~= "Str" then
    return false
  end
  local text = element.text
  return text:find("^%%") or text:find("^pp%f[%A]") or text:find("^●") or text:find("^◐") or text:find("^○")
end

-- Text for the writer, save two things: `-?` is a soft hyphen to typst; and in prose straight
-- quotes go through bare, so that typst turns them. In tables they stay as they are.
local function spell(inlines, text, is_prose)
  local verbatim = { ['"'] = is_prose and '"' or '\\"', ["\1"] = "\\-" }
  for plain, mark in (text:gsub("%-%?", "\1?") .. "\0"):gmatch('([^"\0\1]*)(["\0\1])') do
    if plain ~= "" then
      inlines[#inlines + 1] = pandoc.Str(plain)
    end
    if verbatim[mark] then
      inlines[#inlines + 1] = M.raw(verbatim[mark])
    end
  end
end

-- Where a string stands: a call right before it (`#strong[..]`) would take a dot for a field.
local function place(before)
  if before == nil or before.t == "SoftBreak" or before.t == "LineBreak" then
    return "start"
  elseif before.t == "RawInline" and before.text:find("%[$") then
    return "start"
  end
  return (before.t == "Str" or before.t == "Space") and "inside" or "after call"
end

local function set_string(text, where, long)
  if where == "start" and starts_markup(text) then
    return { M.raw((text:gsub("[-+=/.)]", "\\%0"))) }
  end
  local inlines = {}
  if where == "after call" and text:find("^%.") then
    inlines[1], text = M.raw("\\."), text:sub(2)
  end
  for i, part in ipairs(M.fragments(typographic(text), long)) do
    if i > 1 then
      inlines[#inlines + 1] = M.raw("#brk;")
    end
    spell(inlines, part, long > M.long_in_table)
  end
  return inlines
end

function M.set_math(element)
  local code = pandoc.write(pandoc.Pandoc({ pandoc.Plain({ element }) }), "typst")
  local alt = M.quoted(math_words(element.text))
  return M.raw("#{set math.equation(alt: " .. alt .. "); " .. code:gsub("%s+$", "") .. "};")
end

local function set_code(element, long)
  local parts = M.fragments(element.text, long)
  for i, part in ipairs(parts) do
    parts[i] = "#raw(" .. M.quoted(part) .. ");"
  end
  return M.raw(table.concat(parts, "#brk;"))
end

function M.verdict_class(span)
  if not span.classes:includes("word") then
    return nil
  end
  for _, class in ipairs(span.classes) do
    if WORDS[class] then
      return class
    end
  end
  M.fail("a verdict word has the classes %q; use word and one of supported, contradicted, not-shown, not-testable, simulated",
    table.concat(span.classes, " "))
end

-- Links: of an address that is written out, and of "report 05" or "reports 03, 05 and 06" to the PDFs beside this one.
local function linked(inlines)
  local result, reports = pandoc.Inlines({}), false
  for _, element in ipairs(inlines) do
    local text = element.t == "Str" and element.text or ""
    local before, address = text:match("^(.-)(https?://.-)[.,;:)]*$")
    local number, rest = text:match("^([%w_]+)([.,;:)]*)$") -- 05, panel_03 or methods_scenarios
    if number and not (number:find("^%d%d$") or M.beside[number]) then
      number = nil
    end
    if address then
      local after = text:sub(#before + #address + 1)
      result:extend({ pandoc.Str(before), pandoc.Link(pandoc.Str(address), address), pandoc.Str(after) })
    elseif reports and number and M.beside[number] then
      result:extend({ pandoc.Link(pandoc.Str(number), M.beside[number] .. ".pdf"), pandoc.Str(rest) })
    else
      result:insert(element)
    end
    if text ~= "" then
      reports = text:find("^%(?[Rr]eports?$") or (reports and (number or text:find("^%a+$") and #text <= 3))
    end
  end
  return result
end

local link_pass = {
  traverse = "topdown",
  Link = function(link)
    return link, false
  end,
  Inlines = linked,
}

-- The pass over what is left as text once figures, tables and boxes are set.
local function text_pass(long)
  return {
    Inlines = function(inlines)
      local result = pandoc.Inlines({})
      for i, element in ipairs(inlines) do
        if element.t == "Str" then
          result:extend(set_string(element.text, place(inlines[i - 1]), long))
        elseif element.t == "Space" and stays(inlines[i + 1]) then
          result:insert(M.raw("~"))
        else
          result:insert(element)
        end
      end
      return result
    end,
    Math = M.set_math,
    Code = function(element)
      return set_code(element, long)
    end,
    Span = function(span)
      local class = M.verdict_class(span)
      local source = span.classes:includes("source")
      if not class and not source then
        return span.content
      end
      local result = pandoc.Inlines({ M.raw(source and "#source-line[" or "#word(" .. M.quoted(class) .. ")[") })
      result:extend(span.content)
      result:insert(M.raw("];"))
      return result
    end,
  }
end

function M.set_text(blocks, long)
  return blocks:walk(link_pass):walk(text_pass(long))
end

function M.typst(blocks, long)
  local doc = pandoc.Pandoc(M.set_text(pandoc.Blocks(blocks), long))
  return (pandoc.write(doc, "typst", { wrap_text = "none" }):gsub("%s+$", ""))
end

return M
