-- From pandoc's reading of an executed notebook to typst.
--
-- Cells tagged `answer` become page 1, the rest follows in its order. Code, stderr and
-- cells tagged `remove-cell`, `parameters` or `injected-parameters` are dropped; a cell
-- tagged `new-page` starts a page; `dense` on any cell gives the report narrow margins. An output is read from its text/html. The title goes
-- into meta.json, never into typst code. A failed cell stops everything.

package.path = pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/?.lua"
local text = require("filter_text")
local exhibits = require("filter_exhibits")
local fail, raw_block = text.fail, text.raw_block

local HIDDEN = { ["remove-cell"] = true, parameters = true, ["injected-parameters"] = true }
local BOXES = { answer = true, note = true, warning = true, headline = true, small = true, framed = true }
local MONO_COLUMNS = 92 -- characters of a line of printed output

-- Blocks -------------------------------------------------------------------------------

local function set_mono(block)
  local printed = block.text:gsub("\27%[[%d;?]*%a", ""):gsub("\r", ""):gsub("\t", "    ")
  local lines = {}
  for line in (printed .. "\n"):gmatch("(.-)\n") do
    while utf8.len(line) > MONO_COLUMNS do
      local cut = utf8.offset(line, MONO_COLUMNS + 1)
      lines[#lines + 1], line = line:sub(1, cut - 1), line:sub(cut)
    end
    lines[#lines + 1] = line
  end
  return raw_block("#raw(block: true, " .. text.quoted((table.concat(lines, "\n"):gsub("\n+$", ""))) .. ")"), false
end

local exhibits_pass

-- Blocks that stand side by side.
local function set_beside(div)
  local blocks = pandoc.Blocks({ raw_block("#beside(") })
  for _, block in ipairs(div.content) do
    blocks:insert(raw_block("["))
    blocks:extend(pandoc.Blocks({ block }):walk(exhibits_pass))
    blocks:insert(raw_block("],"))
  end
  blocks:insert(raw_block(")"))
  return blocks, false
end

local function set_box(div)
  if div.classes:includes("beside") then
    return set_beside(div)
  end
  for _, class in ipairs(div.classes) do
    if BOXES[class] then
      local meta = class == "answer" and "(meta)" or ""
      local blocks = pandoc.Blocks({ raw_block("#box-" .. class .. meta .. "[") })
      blocks:extend(div.content)
      blocks:insert(raw_block("]"))
      return blocks
    end
  end
  return div.content:walk(exhibits_pass), false
end

exhibits_pass = {
  traverse = "topdown",
  Figure = exhibits.set_figure,
  Table = exhibits.set_table,
  CodeBlock = set_mono,
  Div = set_box,
}
local images_pass = {
  Image = function(image)
    return text.raw("#" .. exhibits.image_code(image) .. ";")
  end,
}

-- The title is not a heading, so levels move up by one; none may be left out (PDF/UA).
local last_level = 0
local function set_heading(header)
  header.level = math.min(math.max(header.level - 1, 1), last_level + 1)
  last_level = header.level
  return header
end

local function set_blocks(blocks)
  return blocks:walk(exhibits_pass):walk(images_pass):walk({ Header = set_heading }):walk(text.text_pass(text.long_in_text))
end

-- Cells --------------------------------------------------------------------------------

local function tags_of(cell)
  local tags = {}
  for _, tag in ipairs(pandoc.json.decode(cell.attributes.tags or "[]")) do
    tags[tag] = true
  end
  return tags
end

-- Headings inside an exhibit are no part of the outline.
local function read_html(html)
  return pandoc.read(html, "html").blocks:walk({
    Header = function(header)
      return pandoc.Para({ pandoc.Strong(header.content) })
    end,
  })
end

local function output_blocks(output)
  if output.classes:includes("error") then
    fail("a cell ended in %s: %s; a failed notebook is not published", output.attributes.ename or "an error",
      output.attributes.evalue or "")
  end
  if output.classes:includes("stderr") then
    return {}
  end
  for _, block in ipairs(output.content) do
    if block.t == "RawBlock" and block.format == "html" then
      return read_html(block.text)
    end
  end
  return output.content
end

local function cell_blocks(cell)
  if cell.classes:includes("raw") then
    return {}
  elseif not cell.classes:includes("code") then
    return cell.content
  end
  local blocks = pandoc.Blocks({})
  for _, block in ipairs(cell.content) do
    if block.t == "Div" and block.classes:includes("output") then
      blocks:extend(output_blocks(block))
    end
  end
  return blocks
end

-- Take the first heading of level 1, and a paragraph in italics right after it.
local function take_title(blocks, meta)
  for i, block in ipairs(blocks) do
    if block.t == "Header" and block.level == 1 then
      meta.title = pandoc.utils.stringify(block)
      blocks:remove(i)
      local following = blocks[i]
      if following and following.t == "Para" and #following.content == 1 and following.content[1].t == "Emph" then
        meta.subtitle = pandoc.utils.stringify(following)
        blocks:remove(i)
      end
      return
    end
  end
end

local function write_meta(meta)
  if not meta.title then
    fail("the notebook has no title; begin its first cell with a line '# Title'")
  end
  local file = assert(io.open("meta.json", "w"))
  assert(file:write(pandoc.json.encode(meta)))
  assert(file:close())
end

local function read_meta()
  local file = assert(io.open("meta.json"))
  local meta = pandoc.json.decode(file:read("a"), false)
  file:close()
  return meta
end

function Pandoc(doc)
  local meta = read_meta()
  local answer, rest = pandoc.Blocks({}), pandoc.Blocks({})
  for _, cell in ipairs(doc.blocks) do
    local tags = tags_of(cell)
    local blocks = pandoc.Blocks(cell_blocks(cell)) -- also of hidden cells: a failure in them counts
    local hidden = false
    meta.dense = meta.dense or tags.dense or false
    for tag in pairs(tags) do
      hidden = hidden or HIDDEN[tag]
    end
    if not hidden then
      if not meta.title then
        take_title(blocks, meta)
      end
      if tags["new-page"] and not tags.answer then
        rest:insert(raw_block("#pagebreak(weak: true)"))
      end
      (tags.answer and answer or rest):extend(blocks)
    end
  end
  write_meta(meta)

  local result = pandoc.Blocks({ raw_block("#answer-page(meta, (limit, scale) => [") })
  exhibits.limit, exhibits.scale = "limit", "scale"
  result:extend(set_blocks(answer))
  result:insert(raw_block("])"))
  exhibits.limit, exhibits.scale = "auto", "1"
  if #answer > 0 and #rest > 0 then
    result:insert(raw_block("#pagebreak(weak: true)"))
  end
  result:extend(set_blocks(rest))
  return pandoc.Pandoc(result)
end
